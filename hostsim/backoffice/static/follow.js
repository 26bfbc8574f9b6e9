// Renews the parts of a payment's page that have changed, and leaves the rest alone: what has the
// keyboard's focus keeps it, and a screen reader says only what is new.
"use strict";
(function () {
  const page = document.getElementById("pay");

  function swap(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    const focused = old.contains(document.activeElement);
    old.innerHTML = fresh.innerHTML;
    if (focused) (old.querySelector("button, a") || document.getElementById("now")).focus();
  }

  function take(fresh) {
    const theirs = fresh.getElementById("pay");
    if (!theirs || fresh.getElementById("card")) return false;
    for (const old of document.querySelectorAll("[data-part]")) {
      const part = fresh.querySelector('[data-part="' + old.dataset.part + '"]');
      if (part) swap(old, part);
    }
    page.dataset.state = theirs.dataset.state;
    page.dataset.renew = theirs.dataset.renew || "";
    return true;
  }

  async function renew() {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    const text = answer && answer.ok ? await answer.text().catch(() => "") : "";
    if (text && !take(new DOMParser().parseFromString(text, "text/html"))) {
      location.reload(); // the gateway's card form needs a page of its own
      return;
    }
    later(); // without an answer the network is away for a while
  }

  function later() {
    if (page.dataset.renew) setTimeout(renew, 1000 * page.dataset.renew);
  }

  document.documentElement.dataset.follows = "yes";
  later();
})();
