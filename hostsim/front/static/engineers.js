// The panels for engineers: rows of what happened, the last 500 of each kind, and the facts of the moment.
import { $, el, mark, put } from "./dom.js";
import { money, plain, stamp } from "./format.js";

const MOST = 500;
const KIND_OF = { fault: "log" };

export class Engineers {
  constructor(act) {
    this.act = act;
    this.tabs = [...document.querySelectorAll("#tabs [role=tab]")];
    this.rows = new Map(this.tabs.map((tab) => [tab.dataset.kind, []]));
    this.open = this.tabs[0].dataset.kind;
    this.fresh = [];
    this.paused = false;
    this.facts = {};
    for (const tab of this.tabs) tab.addEventListener("click", () => this.show(tab));
    $("tabs").addEventListener("keydown", (event) => this.key(event));
    $("filter").addEventListener("input", () => this.redraw());
    $("pause").addEventListener("click", () => this.pause());
    $("clear").addEventListener("click", () => this.clear());
  }

  show(tab) {
    this.open = tab.dataset.kind;
    for (const one of this.tabs) {
      mark(one, "aria-selected", one === tab);
      one.tabIndex = one === tab ? 0 : -1;
      $(`panel-${one.dataset.kind}`).hidden = one !== tab;
    }
    this.redraw();
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const now = this.tabs.indexOf(document.activeElement);
    const next = event.key === "Home" ? 0 : event.key === "End" ? this.tabs.length - 1 : now + step;
    if (Number.isNaN(next) || now < 0) return;
    event.preventDefault();
    const tab = this.tabs[(next + this.tabs.length) % this.tabs.length];
    this.show(tab);
    tab.focus();
  }

  pause() {
    this.paused = !this.paused;
    mark($("pause"), "aria-pressed", this.paused);
    put($("pause"), this.paused ? "Go on" : "Pause");
    if (!this.paused) this.redraw();
  }

  clear() {
    this.rows.set(this.open, []);
    this.count(this.open);
    this.redraw();
  }

  take({ kind, data, at_ms }) {
    const list = this.rows.get(KIND_OF[kind] ?? kind);
    if (!list) return;
    const row = { at: at_ms ?? 0, ...describe(kind, data ?? {}) };
    list.push(row);
    if (list.length > MOST) list.shift();
    this.count(KIND_OF[kind] ?? kind);
    if ((KIND_OF[kind] ?? kind) !== this.open || this.paused) return;
    if (this.fresh.push(row) > MOST) this.fresh.shift();
    if (this.fresh.length === 1) {
      if (document.hidden) setTimeout(() => this.append(), 250);
      else requestAnimationFrame(() => this.append());
    }
  }

  count(kind) {
    const list = this.rows.get(kind);
    const sup = $(`tab-${kind}`).querySelector("sup");
    put(sup, list.length ? (list.length >= MOST ? `${MOST}+` : String(list.length)) : "");
  }

  append() {
    const rows = this.fresh;
    this.fresh = [];
    const list = $(`rows-${this.open}`);
    if (!list || this.paused) return;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const wanted = $("filter").value.trim().toLowerCase();
    list.append(...rows.filter((row) => matches(row, wanted)).map(node));
    while (list.childElementCount > MOST) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  redraw() {
    this.fresh = [];
    const list = $(`rows-${this.open}`);
    if (!list) return;
    const wanted = $("filter").value.trim().toLowerCase();
    list.dataset.empty = wanted && this.rows.get(this.open).length ? "Nothing fits the filter" : "Nothing yet";
    list.replaceChildren(...this.rows.get(this.open).filter((row) => matches(row, wanted)).map(node));
    list.scrollTop = list.scrollHeight;
  }

  paint(state) {
    const { meter = {}, terminal = {}, lines = {}, sync = {}, heap = {}, firmware = {}, network = {} } = state;
    const registers = Object.entries(meter.registers ?? {}).map(([name, value]) => [name, reading(value), `register-${name}`]);
    this.fact("modbus", registers, this.faults("meter", meter.faults));
    this.fact("zvt", [["display", terminal.display], ["card", terminal.card || "none"], ...ledgerOf(terminal.books ?? {})], this.faults("terminal", terminal.faults));
    this.fact("mqtt", [["network", onOff(network.connected)], ["broker", onOff(network.broker_up)], ["sent", sync.sent], ["acknowledged", sync.acked]]);
    this.fact("lines", [
      ["pilot", lines.pilot], ["contactor", closed(lines.contactor)], ["feedback", closed(lines.feedback)],
      ["emergency", lines.emergency ? "pressed" : "released"], ["offered", lines.offered_ma === undefined ? undefined : `${lines.offered_ma / 1000} A`],
    ]);
    this.fact("ledger", [["sent", sync.sent], ["acknowledged", sync.acked], ["waiting", sync.next_seq === undefined ? undefined : sync.next_seq - 1 - sync.acked_seq]]);
    const kib = (bytes) => (bytes === undefined ? undefined : `${(bytes / 1024).toFixed(1)} KiB`);
    this.fact("device", [
      ["firmware", firmware.version], ["MicroPython", firmware.micropython], ["build", firmware.pointer_bits && `${firmware.pointer_bits} bit`],
      ["heap used", kib(heap.used)], ["heap peak", kib(heap.peak)], ["heap total", kib(heap.total)],
    ], heap.total ? { key: `${heap.used}/${heap.peak}/${heap.total}`, make: () => bar(heap) } : null);
  }

  fact(kind, pairs, more = null) {
    const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
    const shape = JSON.stringify([shown.map(([name]) => name), more?.key]);
    const box = $(`facts-${kind}`);
    if (this.facts[kind]?.shape !== shape) {
      const values = shown.map(([, , id]) => el("b", { "data-testid": id }));
      const cells = shown.map(([name], index) => el("div", { class: "fact" }, el("small", {}, name.replaceAll("_", " ")), values[index]));
      box.replaceChildren(...cells, ...(more ? [more.make()] : []));
      this.facts[kind] = { shape, values };
    }
    shown.forEach(([, value], index) => put(this.facts[kind].values[index], plain(value)));
  }

  faults(who, faults) {
    if (!faults || !Object.keys(faults).length) return null;
    const make = () => {
      const box = el("div", { class: "faults", role: "group", "aria-label": `Faults of the ${who}` }, el("span", {}, "Faults:"));
      for (const [name, on] of Object.entries(faults)) {
        const input = el("input", { type: "checkbox", "data-testid": `${who}-fault-${name}` });
        input.checked = Boolean(on);
        input.addEventListener("change", () => this.act(`${who}_fault`, { name, on: input.checked }));
        box.append(el("label", {}, input, name.replaceAll("_", " ")));
      }
      return box;
    };
    return { key: JSON.stringify(faults), make };
  }
}

const ledgerOf = ({ currency = "", ...books }) =>
  Object.entries(books).map(([key, value]) =>
    key.endsWith("_minor") && Number.isInteger(value) ? [key.slice(0, -6), `${money(value, currency)} ${currency}`.trim()] : [key, value],
  );
const onOff = (value) => (value === undefined ? undefined : value ? "connected" : "cut off");
const closed = (value) => (value === undefined ? undefined : value ? "closed" : "open");
const reading = (value) => (value !== null && typeof value === "object" ? `${value.value} ${value.unit ?? ""}` : value);
function bar({ total, used, peak }) {
  const box = el("div", { class: "meter", role: "img", "aria-label": "Heap" }, el("i", { class: "peak" }), el("i"));
  box.children[0].style.width = `${(peak * 100) / total}%`;
  box.children[1].style.width = `${(used * 100) / total}%`;
  return box;
}

// Each event as its simulated peer tells it: the terminal's "in" and the meter's request come from the charger, and the
// back office calls what a charger sent "out". Here "out" is always from the charger.
const WAYS = {
  zvt: ({ direction }) => ({ in: "out", out: "in" })[direction],
  modbus: ({ kind, direction }) => ({ request: "out", noise: "out", ignored: "out", answer: "in" })[kind] ?? direction,
  mqtt: ({ direction }) => direction,
};

// {way, name, text, fields, hex, level} of an event
function describe(kind, data) {
  const way = WAYS[kind]?.(data) ?? "";
  switch (kind) {
    case "zvt": return { way, name: data.name ?? "?", fields: data.fields, hex: data.hex };
    case "modbus": return { way, name: data.kind ?? "", text: data.text ?? "", hex: data.hex };
    case "mqtt": return { way, name: data.topic ?? "", text: plain(data.payload) };
    case "lines": return { way, name: data.name ?? "", text: plain(data.value) };
    case "ledger": return { way, name: `${data.seq ?? ""} ${data.type ?? ""}`, fields: data.fields };
    case "fault": return { way, level: "fault", name: `fault ${data.name ?? ""}`, text: data.text ?? plain(data) };
    default: return { way, level: data.level, name: data.level ?? "", text: data.text ?? plain(data) };
  }
}

const textOf = (row) => (row.search ??= [row.name, row.text, row.hex, row.fields && JSON.stringify(row.fields)].join(" ").toLowerCase());
const matches = (row, wanted) => !wanted || textOf(row).includes(wanted);

function node(row) {
  const what = el("span", { class: "what" });
  const fields = row.fields;
  if (fields && typeof fields === "object" && !Array.isArray(fields)) {
    for (const [key, value] of Object.entries(fields)) what.append(el("span", { class: "key" }, `${key}=`), `${plain(value)}  `);
  } else what.append(row.text ?? (fields ? plain(fields) : ""));
  if (row.hex) what.append(el("span", { class: "hex" }, row.hex));
  const arrow = { out: "→", in: "←" }[row.way] ?? "";
  return el(
    "li",
    { "data-level": row.level || null },
    el("time", {}, stamp(row.at)),
    el("span", { class: "way", "data-way": row.way || null, title: { out: "from the charger", in: "to the charger" }[row.way] }, arrow),
    el("b", {}, row.name),
    what,
  );
}
