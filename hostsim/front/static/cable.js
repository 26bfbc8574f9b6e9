// The charging cable: hangs from the pillar, its head rests in the holster or in the car.
import { $, mark, still } from "./dom.js";

const MOVE_MS = 650;
const NOSE = 10;

export class Cable {
  constructor() {
    this.svg = $("cable");
    this.paths = [...this.svg.querySelectorAll("path.shadow, path.sheath, path.shine, path.flow")];
    this.head = this.svg.querySelector(".head");
    this.at = null; // 0 in the holster, 1 in the car
    this.target = 0;
    this.frame = 0;
    new ResizeObserver(() => this.place()).observe($("stage"));
  }

  paint(state) {
    const vehicle = state.vehicle ?? {};
    const target = vehicle.plugged ? 1 : 0;
    const power = vehicle.power_w ?? 0;
    mark(this.svg, "data-at", target ? "vehicle" : "holster");
    mark(this.svg, "data-flowing", Boolean(target && power > 0));
    mark(this.svg, "data-locked", Boolean(state.lines?.feedback));
    if (power > 0) this.svg.style.setProperty("--beat", `${(0.45 + 6000 / (power + 4000)).toFixed(2)}s`);
    if (this.at === null) {
      this.at = this.target = target;
      this.place();
    } else if (target !== this.target) {
      this.target = target;
      this.move();
    } else this.place(); // what stands around it may have moved
  }

  move() {
    cancelAnimationFrame(this.frame);
    const from = this.at;
    const began = performance.now();
    const duration = still() || document.hidden ? 1 : MOVE_MS;
    const step = (now) => {
      const part = Math.min(1, Math.max(0, now - began) / duration);
      this.at = from + (this.target - from) * (part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2);
      this.place();
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  place() {
    if (this.at === null) return;
    const stage = $("stage").getBoundingClientRect();
    const middle = (node) => {
      const box = node.getBoundingClientRect();
      return [box.left + box.width / 2 - stage.left, box.top + box.height / 2 - stage.top];
    };
    const [sx, sy] = middle($("gland"));
    const [hx, hy] = middle($("holster").firstElementChild);
    const [px, py] = middle($("port"));
    const k = this.at;
    const lift = Math.sin(Math.PI * k) * 46;
    const below = py > hy + 60; // on a phone the car stands under the charger
    const turn = -90 + (below ? 180 : 90) * k;
    const angle = (turn * Math.PI) / 180;
    const x = hx + (px - hx) * k - Math.cos(angle) * NOSE * k;
    const y = hy + (py - hy) * k - Math.sin(angle) * NOSE * k - lift;
    const [tx, ty] = [x - Math.cos(angle) * 24, y - Math.sin(angle) * 24];
    const floor = stage.height - 12;
    const low = (value) => Math.min(value, floor);
    const reach = 46 + 46 * k;
    const first = [sx + 6 * k, below && k > 0.5 ? sy + 60 : low(sy + 64 + 40 * k)];
    const second = [tx - Math.cos(angle) * reach - (below ? 0 : 26 * k), low(ty - Math.sin(angle) * reach + (below ? 0 : 82 * k))];
    const path = `M${sx} ${sy}C${first} ${second} ${tx} ${ty}`;
    for (const node of this.paths) node.setAttribute("d", path);
    this.head.setAttribute("transform", `translate(${x} ${y}) rotate(${turn})`);
  }
}
