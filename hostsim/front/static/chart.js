// Power over the charger's time: the last points, thinned when there are too many.
import { $, put } from "./dom.js";
import { span } from "./format.js";

const WIDTH = 400;
const HEIGHT = 110;
const MOST = 480;

export class Chart {
  constructor() {
    this.points = [];
    this.session = false;
    const grid = document.querySelector("#chart .grid");
    for (const y of [0, HEIGHT / 2, HEIGHT]) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [key, value] of Object.entries({ x1: 0, x2: WIDTH, y1: y, y2: y })) line.setAttribute(key, value);
      grid.append(line);
    }
  }

  paint(state) {
    const session = Boolean(state.session);
    if (session && !this.session) this.points = [];
    this.session = session;
    const at = state.sim_time_ms ?? 0;
    const last = this.points.at(-1);
    if (last && at < last[0]) this.points = [];
    if (last && at === last[0]) return;
    if (!session && last && !last[1]) this.points.pop(); // idle: keep the end of the line moving only while it matters
    if (session || !last) this.points.push([at, state.session?.power_w ?? state.vehicle?.power_w ?? 0]);
    if (this.points.length > MOST) this.points = this.points.filter((_, index) => index % 2 === 0);
    this.draw();
  }

  draw() {
    const points = this.points;
    if (!points.length) return;
    const [begin, end] = [points[0][0], points.at(-1)[0]];
    const most = Math.max(1000, ...points.map((point) => point[1]));
    const top = [2, 4, 8, 12, 24, 50, 100, 200, 400].find((n) => n * 1000 >= most * 1.05) ?? 1000;
    const x = (at) => (end > begin ? ((at - begin) * WIDTH) / (end - begin) : 0).toFixed(1);
    const y = (power) => (HEIGHT - (power * HEIGHT) / (top * 1000)).toFixed(1);
    const line = points.map(([at, power]) => `${x(at)} ${y(power)}`).join("L");
    document.querySelector("#chart .line").setAttribute("d", `M${line}`);
    document.querySelector("#chart .area").setAttribute("d", `M${line}L${x(end)} ${HEIGHT}L0 ${HEIGHT}Z`);
    put($("chart-top"), `${top} kW`);
    put($("chart-span"), end > begin ? span(end - begin) : "");
  }
}
