// What the driver sees: screen, light, terminal, figures, car.
import { $, el, mark, put } from "./dom.js";
import { kw, kwh, money, span } from "./format.js";

const WORDS = {
  booting: "starting up", free: "free", plugged: "vehicle connected", reading: "waiting for a card",
  authorising: "checking the card", wait_plug: "waiting for the plug", starting: "power comes on", charging: "charging",
  paused: "paused by the vehicle", finished: "ended, still plugged", settling: "settling", receipt: "receipt",
  declined: "declined", out_of_service: "out of service", recovering: "resuming", safe_mode: "safe mode",
};
const ROWS = 8;

export class Driver {
  constructor(act) {
    this.act = act;
    this.shown = "";
    this.codes = "";
    this.emergencyOn = false;
    $("stop").addEventListener("click", () => act("stop"));
    $("emergency").addEventListener("click", () => act("emergency", { on: !this.emergencyOn }));
    $("plug").addEventListener("click", () => act("plug"));
    $("unplug").addEventListener("click", () => act("unplug"));
    $("vehicle-full").addEventListener("click", () => act("vehicle_full"));
    $("vehicle-pause").addEventListener("click", (event) =>
      act("vehicle_pause", { on: event.currentTarget.getAttribute("aria-pressed") !== "true" }),
    );
  }

  paint(state) {
    this.screen(state.screen ?? {});
    this.terminal(state.terminal ?? {});
    this.figures(state.session, state.vehicle ?? {});
    this.car(state.vehicle ?? {}, state.lines ?? {});
    this.languages(state.languages ?? []);
    this.emergencyOn = Boolean(state.lines?.emergency);
    mark($("emergency"), "aria-pressed", this.emergencyOn);
    const plugs = {
      network: state.network?.connected, meter: state.meter?.connected,
      terminal: state.terminal?.connected, reader: state.reader?.connected, power: state.power ?? state.up,
    };
    for (const button of document.querySelectorAll("[data-switch]")) {
      mark(button, "aria-checked", plugs[button.dataset.switch] ?? true);
      if (button.dataset.switch === "reader") button.hidden = !state.reader?.fitted;
    }
  }

  screen({ lines = [], qr = "", light = "off" }) {
    const text = lines.join("\n");
    if (text !== this.shown) {
      this.shown = text;
      const last = lines.findLastIndex((line) => line.trim());
      const rows = lines.map((line, index) =>
        el("span", { class: index === 0 ? "first" : index === last ? "last" : null }, line.padEnd(40)),
      );
      $("screen").replaceChildren(...rows.flatMap((row, index) => (index ? ["\n", row] : [row])));
      while (lines.length && rows.length < ROWS && rows.push(null)) $("screen").append("\n");
      const title = (lines[0] ?? "").split("   ")[0].trim();
      mark($("screen"), "aria-label", `Screen: ${lines.map((line) => line.trim()).filter(Boolean).join(". ") || "dark"}`);
      put($("announce"), lines.length ? `${title}. ${(lines[last] ?? "").trim()}` : "The screen is dark");
      document.querySelector(".lcd").classList.toggle("dark", !lines.length);
    }
    const image = $("qr");
    if (qr !== (image.dataset.text ?? "")) {
      image.dataset.text = qr;
      image.hidden = !qr;
      document.querySelector(".print").hidden = Boolean(qr);
      if (qr) image.src = `/api/qr.svg?text=${encodeURIComponent(qr)}`;
      image.alt = qr ? `QR code: ${qr}` : "";
    }
    const colour = light.replace("blink-", "");
    mark($("light"), "data-light", light);
    mark($("light"), "aria-label", `Status light: ${light.replace("blink-", "blinking ")}`);
    mark($("charger"), "data-light", colour);
    $("light").classList.toggle("blink", light.startsWith("blink-"));
  }

  terminal({ powered, connected, display = "", card = "" }) {
    const on = (powered ?? true) && (connected ?? true);
    mark($("terminal"), "data-on", on);
    mark($("terminal"), "data-card", Boolean(card));
    put($("terminal-display"), Array.isArray(display) ? display.join("\n") : String(display ?? ""));
    mark($("slot"), "data-card", card || "");
    put($("slot"), card || "");
  }

  figures(session, vehicle) {
    const s = session ?? {};
    put($("figure-power"), kw(s.power_w ?? vehicle.power_w ?? 0));
    put($("figure-energy"), kwh(s.energy_wh ?? 0));
    put($("figure-price"), session ? money(s.price_minor ?? 0, s.currency) : "–");
    put($("currency"), session ? (s.currency ?? "") : "");
    put($("figure-time"), span(s.elapsed_ms ?? 0));
    const hold = s.hold_minor ?? 0;
    const paid = (s.captured_minor ?? 0) + (s.released_minor ?? 0) > 0;
    const held = `of ${money(hold, s.currency)} ${s.currency ?? ""} reserved`;
    const settled = `paid ${money(s.captured_minor ?? 0, s.currency)}, released ${money(s.released_minor ?? 0, s.currency)}`;
    put($("figure-hold"), paid ? settled : hold ? held : "nothing reserved");
    put($("price-title"), ["receipt", "settling", "finished"].includes(s.state) ? "Price" : "Price so far");
    $("hold-bar").style.width = hold ? `${Math.min(100, ((s.price_minor ?? 0) * 100) / hold)}%` : "0";
    put($("session-state"), session ? (WORDS[s.state] ?? s.state ?? "") : "no session");
  }

  car(vehicle, lines) {
    const plugged = Boolean(vehicle.plugged);
    const charging = plugged && (vehicle.power_w ?? 0) > 0;
    mark($("car"), "data-plugged", plugged);
    mark($("car"), "data-charging", charging);
    const soc = Math.round(vehicle.soc_pct ?? 0);
    mark($("battery-fill"), "width", (142 * soc) / 100);
    put($("battery-pct"), `${soc} %`);
    const what = vehicle.full ? "battery full" : charging ? "charging" : plugged ? "plugged in" : "not plugged in";
    put($("fill"), what);
    const parts = [
      vehicle.wanted_wh ? `${kwh(vehicle.energy_wh ?? 0)} of ${kwh(vehicle.wanted_wh)} kWh` : "",
      lines.pilot ? `pilot ${lines.pilot}` : "",
      lines.offered_ma ? `offered ${lines.offered_ma / 1000} A` : "",
    ];
    put($("carfacts"), parts.filter(Boolean).join(" · "));
    this.swap($("plug"), $("unplug"), plugged);
    mark($("vehicle-pause"), "aria-pressed", Boolean(vehicle.paused));
  }

  // The button that was pressed goes away; focus follows to the one that takes its place.
  swap(plug, unplug, plugged) {
    const [going, coming] = plugged ? [plug, unplug] : [unplug, plug];
    if (going.hidden) return;
    const focused = document.activeElement === going;
    going.hidden = true;
    coming.hidden = false;
    if (focused) coming.focus();
  }

  languages(codes) {
    if (codes.join() === this.codes) return;
    this.codes = codes.join();
    const names = new Intl.DisplayNames(["en"], { type: "language" });
    $("languages").replaceChildren(
      ...codes.map((code) => {
        const button = el("button", { type: "button", "data-testid": `language-${code}`, "aria-label": names.of(code) }, code.toUpperCase());
        button.addEventListener("click", () => this.act("language", { code }));
        return button;
      }),
    );
  }
}
