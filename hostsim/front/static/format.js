// Figures as text. Money and energy are integers; they are split as text, never divided.
const DIGITS = { JPY: 0, KRW: 0, ISK: 0, KWD: 3, BHD: 3, TND: 3 };

export function fixed(value, decimals) {
  const digits = String(Math.abs(Math.trunc(value))).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  return (value < 0 ? "-" : "") + whole + (decimals ? "." + digits.slice(-decimals) : "");
}

export const money = (minor, currency) => fixed(minor, DIGITS[currency] ?? 2);
export const kwh = (wh) => fixed(wh, 3);
export const kw = (watts) => fixed(Math.round(watts / 100), 1);

export function span(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export const stamp = (ms) => `${span(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;

export function plain(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
