// The three books side by side.
import { $, el, mark, put } from "./dom.js";
import { money, plain } from "./format.js";

const BOOKS = ["charger", "terminal", "backoffice"];

export class Books {
  constructor() {
    this.shown = "";
  }

  paint(state) {
    const books = state.books;
    const text = JSON.stringify(books ?? null);
    if (!books || text === this.shown) return;
    this.shown = text;
    const keys = [...new Set(BOOKS.flatMap((book) => Object.keys(books[book] ?? {})))].filter((key) => key !== "currency");
    $("books-body").replaceChildren(...keys.map((key) => row(key, books)));
    const agree = books.agree ?? null;
    mark($("books-verdict"), "data-agree", agree === null ? "unknown" : agree);
    put($("books-verdict"), agree === null ? "not compared yet" : agree ? "✓ They agree to the cent" : "✗ They differ");
    const differences = books.differences ?? [];
    $("books-differences").hidden = !differences.length;
    $("books-differences").replaceChildren(...differences.map((one) => el("li", {}, plain(one))));
  }
}

function row(key, books) {
  const values = BOOKS.map((book) => books[book]?.[key]);
  const known = values.filter((value) => value !== undefined && value !== null).map(plain);
  const label = key === "open" ? "open holds" : key.replace(/_minor$/, "").replaceAll("_", " ");
  return el(
    "tr",
    { class: new Set(known).size > 1 ? "differs" : null },
    el("th", { scope: "row" }, label),
    ...values.map((value, index) => el("td", {}, shown(key, value, books[BOOKS[index]]?.currency))),
  );
}

function shown(key, value, currency) {
  if (key.endsWith("_minor") && Number.isInteger(value)) return `${money(value, currency)}${currency ? ` ${currency}` : ""}`;
  if (Array.isArray(value)) return value.length ? `receipt ${value.join(", ")}` : "none";
  return plain(value);
}
