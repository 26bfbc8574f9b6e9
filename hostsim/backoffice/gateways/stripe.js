// Stripe's own card form, the Payment Element: card data go from this page to Stripe and nowhere
// else. Served as pay/form.js, and loaded on that page only.
"use strict";
(function () {
  const form = document.getElementById("card");
  const wrong = document.getElementById("wrong");
  const stripe = window.Stripe(form.dataset.key);
  const elements = stripe.elements({ clientSecret: form.dataset.secret });
  elements.create("payment").mount("#element");
  form.addEventListener("submit", async function (event) {
    event.preventDefault();
    form.querySelector("button").disabled = true;
    const answer = await stripe.confirmPayment({
      elements: elements,
      confirmParams: { return_url: form.dataset.back },
    });
    wrong.textContent = answer.error.message;
    wrong.hidden = false;
    form.querySelector("button").disabled = false;
  });
})();
