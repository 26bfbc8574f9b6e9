// Puts the page together: one state, painted at most once a frame; one link, whose refusals become toasts.
import { $, el, mark, put } from "./dom.js";
import { span } from "./format.js";
import { Link } from "./link.js";
import { Cable } from "./cable.js";
import { Chart } from "./chart.js";
import { Books } from "./books.js";
import { Driver } from "./driver.js";
import { Engineers } from "./engineers.js";
import { Wallet } from "./wallet.js";

const GONE_AFTER_MS = 900;
const TOAST_MS = 6000;

let state = {};
let painting = false;
let goneTimer = 0;

// A dict is merged into the one that was there; an empty one empties it.
const isDict = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function merge(change) {
  for (const [key, value] of Object.entries(change)) {
    state[key] = isDict(value) && isDict(state[key]) && Object.keys(value).length ? { ...state[key], ...value } : value;
  }
}

function toast(text) {
  const node = el("p", { class: "toast", "data-testid": "toast" }, text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), TOAST_MS);
}

async function act(name, args) {
  const answer = await link.act(name, args);
  if (!answer.ok) toast(answer.error || "That did not work.");
  return answer.ok;
}

const cable = new Cable();
const parts = [new Driver(act), new Wallet(act), cable, new Chart(), new Books(), new Engineers(act)];
const engineers = parts.at(-1);

function paint() {
  painting = false;
  const speed = $("speed");
  if (state.speed && !speed.dataset.held) {
    speed.value = state.speed;
    put($("speed-value"), `×${state.speed}`);
  }
  put($("sim-time"), span(state.sim_time_ms ?? 0));
  mark($("status-firmware"), "data-on", Boolean(state.up));
  mark($("status-online"), "data-on", Boolean(state.sync?.online));
  for (const part of parts) part.paint(state);
}

function dirty() {
  if (painting) return;
  painting = true;
  // A tab in the background gets no frames; its state must still be right when it is looked at.
  if (document.hidden) setTimeout(paint, 250);
  else requestAnimationFrame(paint);
}

function take(message) {
  const { t, ...rest } = message;
  if (t === "event") return engineers.take(rest);
  if (t === "snapshot") state = rest;
  else if (t === "state") merge(rest);
  dirty();
}

function up(on) {
  clearTimeout(goneTimer);
  const show = () => {
    $("banner").hidden = on;
    document.body.classList.toggle("gone", !on);
  };
  if (on) show();
  else goneTimer = setTimeout(show, GONE_AFTER_MS);
}

const link = new Link(take, up);

const slider = $("speed");
let sending = 0;
slider.addEventListener("input", () => {
  slider.dataset.held = "yes";
  put($("speed-value"), `×${slider.value}`);
  slider.setAttribute("aria-valuetext", `${slider.value} times`);
  clearTimeout(sending);
  sending = setTimeout(async () => {
    await act("speed", { n: Number(slider.value) });
    delete slider.dataset.held;
  }, 150);
});

for (const button of document.querySelectorAll("[data-switch]")) {
  button.addEventListener("click", () =>
    act(button.dataset.switch, { on: button.getAttribute("aria-checked") !== "true" }),
  );
}
addEventListener("resize", () => cable.place());
