// The course of a figure, as a small chart that reads out each value, by pointer and by keyboard.

import { html, svg } from "./dom.js";

// The drawing is stretched to its place; lines and dots keep their width.
const WIDTH = 1000, HEIGHT = 100, TOP = 6;
const STEADY = { "vector-effect": "non-scaling-stroke" };

// Points are {at, value}, ascending. A line ends where the pause to the next point is longer than maxPause.
// onRead receives the index of the point to read out, or null for none.
export function chart({ label, points, marks, maxPause, describe, onRead }) {
  const [begin, end] = [points[0].at, points.at(-1).at];
  const highest = Math.max(0, ...points.map((point) => point.value ?? 0)) || 1;
  const x = (at) => (end === begin ? WIDTH / 2 : (WIDTH * (at - begin)) / (end - begin));
  const y = (value) => HEIGHT - ((HEIGHT - TOP) * Math.min(Math.max(value, 0), highest)) / highest;

  const lines = unbroken(points, maxPause);
  const course = lines.map((line) => `M${line.map(({ at, value }) => `${x(at)} ${y(value)}`).join("L")}`);
  const areas = lines.map(
    (line, index) => `${course[index]}L${x(line.at(-1).at)} ${HEIGHT}L${x(line[0].at)} ${HEIGHT}Z`,
  );
  // A point without neighbors is a dot: a line of no length with round ends.
  const dots = lines.filter((line) => line.length === 1).map(([{ at, value }]) => `M${x(at)} ${y(value)}h0`);
  const cursor = svg("path", { class: "cursor", d: "", ...STEADY });
  const dot = svg("path", { class: "dot", d: "", ...STEADY });
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "ground", d: `M0 ${HEIGHT}H${WIDTH}`, ...STEADY }),
    marks
      .filter((at) => at >= begin && at <= end)
      .map((at) => svg("path", { class: "mark", d: `M${x(at)} ${HEIGHT}V0`, ...STEADY })),
    svg("path", { class: "area", d: areas.join("") }),
    svg("path", { class: "line", d: course.join(""), ...STEADY }),
    svg("path", { class: "dot", d: dots.join(""), ...STEADY }),
    cursor,
    dot,
  );

  let current = points.length - 1;
  const place = html(
    "div",
    {
      class: "drawing",
      tabindex: 0,
      role: "slider",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": points.length - 1,
      "aria-valuenow": current,
      "aria-valuetext": describe(points[current]),
    },
    drawing,
  );
  const read = (index) => {
    const { at, value } = points[index ?? points.length - 1];
    cursor.setAttribute("d", index === null ? "" : `M${x(at)} ${HEIGHT}V0`);
    dot.setAttribute("d", index === null || value === null ? "" : `M${x(at)} ${y(value)}h0`);
    if (index !== null) {
      current = index;
      place.setAttribute("aria-valuenow", index);
      place.setAttribute("aria-valuetext", describe(points[index]));
    }
    onRead(index);
  };
  const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 7, PageDown: -7, Home: -Infinity, End: Infinity };
  place.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    read(Math.max(0, Math.min(points.length - 1, current + keys[event.key])));
  });
  place.addEventListener("focus", () => place.matches(":focus-visible") && read(current));
  place.addEventListener("blur", () => read(null));
  place.addEventListener("pointermove", (event) => {
    const box = place.getBoundingClientRect();
    const at = begin + ((end - begin) * (event.clientX - box.left)) / box.width;
    const distances = points.map((point) => Math.abs(point.at - at));
    read(distances.indexOf(Math.min(...distances)));
  });
  place.addEventListener("pointerleave", () => read(null));
  return place;
}

// The points with values, as lines that end at longer pauses.
export function unbroken(points, maxPause) {
  const lines = [];
  let before = null;
  for (const point of points) {
    if (point.value === null) {
      before = null;
      continue;
    }
    if (before === null || point.at - before.at > maxPause) lines.push([]);
    lines.at(-1).push(point);
    before = point;
  }
  return lines;
}
