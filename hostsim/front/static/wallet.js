// The cards to tap. The good ones lie on top, the others under "More cards".
import { $, el, icon, still } from "./dom.js";

const TOP = ["visa", "mastercard", "girocard"];
const NAMES = { visa: "Visa", mastercard: "Mastercard", girocard: "girocard" };

export class Wallet {
  constructor(act) {
    this.act = act;
    this.known = "";
    this.there = null;
    $("remove-card").addEventListener("click", () => act("remove_card"));
  }

  paint(state) {
    const cards = (state.cards ?? []).map(read);
    const known = JSON.stringify(cards);
    if (known !== this.known) {
      this.known = known;
      this.there = null;
      const top = TOP.map((name) => cards.find((card) => card.name === name)).filter(Boolean);
      const others = cards.filter((card) => !TOP.includes(card.name));
      $("cards").replaceChildren(...top.map((card) => this.card(card, "bankcard")));
      $("other-cards").replaceChildren(...others.map((card) => this.card(card, "other")));
      $("more-cards").hidden = !others.length;
    }
    const there = state.terminal?.card || "";
    if (there === this.there) return;
    this.there = there;
    $("remove-card").hidden = !there;
    for (const button of document.querySelectorAll("[data-card].bankcard, [data-card].other")) {
      button.classList.toggle("there", button.dataset.card === there);
    }
  }

  card({ name, help }, kind) {
    const label = NAMES[name] ?? name.replaceAll("_", " ");
    const attributes = { type: "button", class: kind, "data-card": name, "data-testid": `card-${name}`, title: help };
    const button =
      kind === "bankcard"
        ? el("button", { ...attributes, "aria-label": `Tap ${label}` }, el("span", { class: "chip" }), icon("i-wave", "wave"), el("b", {}, label))
        : el("button", { ...attributes, "aria-label": `Tap ${label}: ${help}` }, el("b", {}, label), el("small", {}, help));
    button.addEventListener("click", () => {
      fly(button);
      this.act("tap", { card: name });
    });
    return button;
  }
}

function read(card) {
  if (typeof card === "string") return { name: card, help: "" };
  if (Array.isArray(card)) return { name: card[0], help: card[1] ?? "" };
  return { name: card.name, help: card.help ?? "" };
}

// A copy of the card goes to the reader, so that one sees where the tap went.
function fly(button) {
  if (still()) return;
  const from = button.getBoundingClientRect();
  const to = document.querySelector(".reader").getBoundingClientRect();
  const copy = button.cloneNode(true);
  for (const name of ["data-testid", "id"]) copy.removeAttribute(name);
  copy.setAttribute("aria-hidden", "true");
  copy.tabIndex = -1;
  copy.classList.add("flying");
  Object.assign(copy.style, { left: `${from.left}px`, top: `${from.top}px`, width: `${from.width}px`, height: `${from.height}px` });
  document.body.append(copy);
  const x = to.left + to.width / 2 - from.left - from.width / 2;
  const y = to.top + to.height / 2 - from.top - from.height / 2;
  copy.animate(
    [
      { transform: "none", opacity: 1 },
      { transform: `translate(${x}px, ${y}px) scale(.85) rotate(-5deg)`, opacity: 1, offset: 0.75 },
      { transform: `translate(${x}px, ${y}px) scale(.8)`, opacity: 0 },
    ],
    { duration: 620, easing: "cubic-bezier(.3,.7,.3,1)" },
  ).onfinish = () => copy.remove();
}
