// The books side by side: what went over the terminal, then what was paid elsewhere (by phone, on account).
import { $, el, mark, put } from "./dom.js";
import { money, plain } from "./format.js";

const BOOKS = ["charger", "terminal", "backoffice", "gateway"];
const APART = ["currency", "elsewhere"];

export class Books {
  constructor() {
    this.shown = "";
  }

  paint(state) {
    const books = state.books;
    const text = JSON.stringify(books ?? null);
    if (!books || text === this.shown) return;
    this.shown = text;
    const four = Boolean(books.gateway?.payments);
    put($("books-title"), four ? "The four books" : "The three books");
    $("books-gateway").hidden = !four;
    $("books-body").replaceChildren(...rows(books, four));
    const agree = books.agree ?? null;
    mark($("books-verdict"), "data-agree", agree === null ? "unknown" : agree);
    put($("books-verdict"), agree === null ? "not compared yet" : agree ? "✓ They agree to the cent" : "✗ They differ");
    const differences = books.differences ?? [];
    $("books-differences").hidden = !differences.length;
    $("books-differences").replaceChildren(...differences.map((one) => el("li", {}, plain(one))));
  }
}

function rows(books, four) {
  const shown = four ? BOOKS : BOOKS.slice(0, 3);
  const pick = (of) => shown.map((name) => books[name] && { ...of(name, books[name]), currency: books[name].currency });
  const over = pick((name, book) => (name === "gateway" ? {} : book));
  const apart = pick((name, book) => (name === "gateway" ? book : name === "terminal" ? {} : book.elsewhere ?? {}));
  const elsewhere = apart.some((book) => book?.payments);
  return [...keys(over).map((key) => row(key, over, "")), ...(elsewhere ? keys(apart).map((key) => row(key, apart, "elsewhere: ")) : [])];
}

const keys = (books) => [...new Set(books.flatMap((book) => Object.keys(book ?? {})))].filter((key) => !APART.includes(key));

// The gateway's column is judged payment by payment (the verdict): sessions on account are not in it.
function row(key, books, before) {
  const values = books.map((book) => book?.[key]);
  const known = values.slice(0, 3).filter((value) => value !== undefined && value !== null).map(plain);
  const label = key === "open" ? "open holds" : key.replace(/_minor$/, "").replaceAll("_", " ");
  return el(
    "tr",
    { class: new Set(known).size > 1 ? "differs" : null },
    el("th", { scope: "row" }, before + label),
    ...values.map((value, index) => el("td", {}, shown(key, value, books[index]?.currency))),
  );
}

function shown(key, value, currency) {
  if (key.endsWith("_minor") && Number.isInteger(value)) return `${money(value, currency)}${currency ? ` ${currency}` : ""}`;
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  return plain(value);
}
