// Numbers, times and names as text. Everything that events hold may have any type.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

const UNPRINTABLE = /[\p{Cc}\s\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/* Values of events */

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const asObject = (value) => (isObject(value) ? value : {});
export const asList = (value) => (Array.isArray(value) ? value : []);

// Numbers may be text: large ones are, in Make's JSON.
export function asNumber(value) {
  if (typeof value === "string" && value.trim() !== "") value = Number(value);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

// One line, without control characters, and without what changes the direction of the text after it.
export function asText(value) {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value.replace(UNPRINTABLE, " ").trim() : "";
}

export function asTime(value) {
  const time = typeof value === "string" ? Date.parse(value) : NaN;
  const year = new Date(time).getUTCFullYear();
  return year >= 1 && year <= 9999 ? time : null;
}

// An address of the web, or null: an event may hold any other, such as javascript:.
export function webAddress(url) {
  try {
    const parsed = new URL(url);
    return ["https:", "http:"].includes(parsed.protocol) && parsed.username === "" ? parsed.href : null;
  } catch {
    return null;
  }
}

/* Numbers */

const decimal = (digits) => new Intl.NumberFormat("en", { maximumFractionDigits: digits });
const [whole, tenths, hundredths] = [0, 1, 2].map(decimal);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const amount = (value) => (value === null ? "unknown" : whole.format(value));
export const shortAmount = (value) => (value === null ? "unknown" : value < 1e6 ? whole.format(value) : compact.format(value));
export const percent = (value) =>
  value === null ? "unknown" : `${(Math.abs(value) < 10 ? hundredths : tenths).format(value)} %`;
export const plural = (count, noun) => `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/* Times */

export function duration(milliseconds) {
  const value = Math.abs(milliseconds);
  if (value < 1.5 * MINUTE) return "a minute";
  if (value < 55 * MINUTE) return `${Math.round(value / MINUTE)} minutes`;
  if (value < 1.5 * HOUR) return "an hour";
  if (value < 2 * DAY) return `${Math.round(value / HOUR)} hours`;
  return `${Math.round(value / DAY)} days`;
}

export const ago = (time, now) =>
  now - time < MINUTE && time - now < MINUTE ? "just now" : time > now ? `in ${duration(time - now)}` : `${duration(now - time)} ago`;

export function every(milliseconds) {
  for (const [unit, name] of [[7 * DAY, "week"], [DAY, "day"], [HOUR, "hour"]]) {
    if (Math.abs(milliseconds - unit) < 0.1 * unit) return `every ${name}`;
  }
  return `every ${duration(milliseconds)}`;
}

// Like Airflow: 2026-05-17 08:00.
export function clock(time, zone) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: zone }).format(time);
}

export function day(time, zone) {
  return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeZone: zone }).format(time);
}

export const utc = (time) => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
