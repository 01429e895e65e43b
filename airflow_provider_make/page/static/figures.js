// From events to what the page shows: organizations, their pulls, and what is usual. No DOM, no clock, no network.

import { alertOf } from "./alerts.js";
import { asList, asNumber, asObject, asText, asTime } from "./format.js";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
// How many time frames before the newest decide what is usual, and the fewest that do.
const HISTORY = 28, FEWEST = 3;
const FIGURES = ["error_rate", "executions", "credits", "errors", "operations"];

// Returns the organizations, those that need attention first.
export function organizations({ pulls, alerts, assets }, now) {
  const found = new Map();
  const organization = (id, zone) => {
    const key = `${zone} ${id}`;
    if (!found.has(key)) found.set(key, { key, id, zone, name: "", pulls: new Map(), alerts: [] });
    return found.get(key);
  };
  for (const event of pulls) {
    const extra = event.extra;
    const owner = organization(asText(extra.organization_id), asText(extra.zone).toLowerCase());
    owner.name ||= asText(extra.organization_name);
    const filters = describeFilters(extra.filters);
    const key = JSON.stringify([event.source_dag_id, event.source_task_id, filters]);
    if (!owner.pulls.has(key)) owner.pulls.set(key, { key, filters, events: [] });
    owner.pulls.get(key).events.push(event);
  }
  for (const event of alerts) {
    const alert = alertOf(event);
    // Payloads have the zone in their message only.
    const namesakes = [...found.values()].filter((each) => each.id === alert.organization);
    const zone = alert.zone || (namesakes.length === 1 ? namesakes[0].zone : "");
    organization(alert.organization, zone).alerts.push(alert);
  }
  const names = namesByAsset(pulls, assets);
  const result = [...found.values()].map((each) => ({
    ...each,
    name: each.name || names.get(each.key) || "",
    pulls: [...each.pulls.values()].map((pull) => pullOf(pull, now)).sort((a, b) => a.filters.localeCompare(b.filters)),
    alerts: each.alerts.sort((a, b) => b.at - a.at),
  }));
  const urgency = (each) => (each.pulls.some((pull) => pull.late) ? 2 : 0) + (each.alerts.some((alert) => now - alert.at < DAY) ? 1 : 0);
  return result.sort(
    (a, b) => urgency(b) - urgency(a) || a.zone.localeCompare(b.zone) || a.id.localeCompare(b.id, "en", { numeric: true }),
  );
}

// The extra of an asset may have the organization's name; it is not its name if the asset is for several.
function namesByAsset(pulls, assets) {
  const owners = new Map();
  for (const { asset_id: id, extra } of pulls) {
    owners.set(id, (owners.get(id) ?? new Set()).add(`${asText(extra.zone).toLowerCase()} ${asText(extra.organization_id)}`));
  }
  const named = assets
    .filter((asset) => owners.get(asset.id)?.size === 1)
    .map((asset) => [[...owners.get(asset.id)][0], asText(asObject(asset.extra).organization_name)]);
  return new Map(named.filter(([, name]) => name));
}

function describeFilters(filters) {
  return Object.entries(asObject(filters))
    .map(([name, values]) => [name, (Array.isArray(values) ? values : [values]).map(asText).filter(Boolean)])
    .filter(([, values]) => values.length)
    .map(([name, values]) => `${asText(name).replace(/_id$/, "")} ${values.join(", ")}`)
    .join("; ");
}

/* One pull: a task, and the time frames that it pulled */

function frameOf(event) {
  const { extra } = event;
  const total = asObject(extra.total);
  const arrived = asTime(event.timestamp) ?? 0;
  const centicredits = asNumber(total.centicredits);
  const [executions, errors] = [asNumber(total.executions), asNumber(total.errors)];
  const rate = executions > 0 && errors !== null ? (100 * errors) / executions : null;
  return {
    from: asTime(extra.date_from),
    to: asTime(extra.date_to) ?? arrived,
    arrived,
    executions,
    errors,
    operations: asNumber(total.operations),
    credits: centicredits === null ? null : centicredits / 100,
    error_rate: asNumber(total.error_rate) ?? asNumber(extra.error_rate) ?? rate,
    scenarios: asNumber(extra.row_count),
    dag: asText(event.source_dag_id),
    task: asText(event.source_task_id),
    run: asText(event.source_run_id),
    mapIndex: asNumber(event.source_map_index) ?? -1,
  };
}

export function pullOf({ key, filters, events }, now) {
  const frames = newestOfEachFrame(events.map(frameOf));
  const newest = frames.at(-1);
  const rhythm = rhythmOf(frames);
  const history = historyOf(frames);
  return {
    key,
    filters,
    frames,
    newest,
    rhythm: rhythm?.usual ?? null,
    late: rhythm !== null && now > rhythm.due,
    comparedWith: history.name,
    usual: Object.fromEntries(FIGURES.map((name) => [name, usualOf(history.frames, name)])),
  };
}

// A frame that was pulled again has the figures of the newest pull, and the arrival of the first.
function newestOfEachFrame(frames) {
  const byFrame = new Map();
  for (const frame of frames.sort((a, b) => a.arrived - b.arrived)) {
    const name = `${frame.from} ${frame.to}`;
    byFrame.set(name, { ...frame, arrived: byFrame.get(name)?.arrived ?? frame.arrived });
  }
  return [...byFrame.values()].sort((a, b) => a.to - b.to || a.arrived - b.arrived);
}

// How often new figures come, and until when the next are due; null if there are too few to know.
export function rhythmOf(frames) {
  const ends = [...new Set(frames.slice(-HISTORY).map((frame) => frame.to))];
  if (ends.length < FEWEST) return null;
  const gaps = ends.slice(1).map((end, index) => end - ends[index]);
  // Of a weekday's pull, one gap in five is a weekend: no alarm on Sundays. One outage in ten changes nothing.
  const longest = quantile(gaps, 0.9);
  const delay = Math.max(0, quantile(frames.slice(-5).map((frame) => frame.arrived - frame.to), 0.5));
  const grace = Math.min(12 * HOUR, Math.max(15 * MINUTE, longest / 4));
  return { usual: quantile(gaps, 0.5), due: ends.at(-1) + longest + delay + grace };
}

// The time frames to compare the newest with: as long as it, and at the same time of day, or of the same weekday, if there
// are enough: automations rest at night and on weekends.
export function historyOf(frames) {
  const length = (frame) => (frame.from === null ? 0 : frame.to - frame.from);
  const time = (frame) => new Date(frame.to - length(frame) / 2);
  const newest = frames.at(-1);
  const alike = frames
    .slice(0, -1)
    .filter((frame) => Math.abs(length(frame) - length(newest)) <= 0.15 * length(newest));
  const isDay = Math.abs(length(newest) - DAY) < 4 * HOUR;
  if (isDay || length(newest) < DAY / 2) {
    const season = (frame) => (isDay ? time(frame).getUTCDay() : time(frame).getTime() % DAY);
    const same = alike.filter((frame) => season(frame) === season(newest)).slice(-8);
    if (same.length >= FEWEST) {
      const weekday = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: "UTC" }).format(time(newest));
      return { frames: same, name: isDay ? `a usual ${weekday}` : "the usual at this time of day" };
    }
  }
  return { frames: alike.slice(-HISTORY), name: "the usual" };
}

// The median of a figure, and the range in which it was most of the time; null if there are too few.
function usualOf(frames, name) {
  const values = frames.map((frame) => frame[name]).filter((value) => value !== null);
  if (values.length < FEWEST) return null;
  return { median: quantile(values, 0.5), low: quantile(values, 0.1), high: quantile(values, 0.9) };
}

// The change of a figure against the usual: in percent, of a rate in percentage points; and whether that is remarkable.
export function changeOf(name, value, usual) {
  if (value === null || usual === null) return null;
  const difference = value - usual.median;
  const isRate = name === "error_rate";
  if (!isRate && usual.median === 0) return null;
  const change = isRate ? difference : (100 * difference) / Math.abs(usual.median);
  const isUsual = (value >= usual.low && value <= usual.high) || Math.abs(difference) < 0.1 * Math.abs(usual.median);
  const isBad = ["error_rate", "errors"].includes(name);
  return { change, unit: isRate ? "points" : "percent", remark: isUsual || !isBad ? "" : difference > 0 ? "worse" : "better" };
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const next = sorted[Math.min(below + 1, sorted.length - 1)];
  return sorted[below] + (position - below) * (next - sorted[below]);
}
