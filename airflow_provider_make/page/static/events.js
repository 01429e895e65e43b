// Finds the asset events of pulls and watchers, in few requests: no filter of Airflow's API selects them.

import { asList, asObject, isObject } from "./format.js";

const DAY = 86_400_000;
// Airflow's own limit, which it applies silently.
const PAGE = 100;
const MAX_EVENTS = 1000;
const MAX_DAYS = 366;
const MAX_SOURCES = 60;
const MAX_PAGES_OF_TASKS = 5;
const MAX_PAGES_OF_ASSETS = 10;
const MAX_WATCHED_ASSETS = 30;
// An alert of many scenarios has 30 KB.
const ALERTS_OF_AN_ASSET = 10;

export const isPull = (event) => {
  const extra = asObject(event.extra);
  return extra.organization_id !== undefined && isObject(extra.total);
};
export const payloadOf = (event) => asObject(asObject(event.extra).payload);
export const isAlert = (event) => {
  const payload = payloadOf(event);
  return typeof payload.metric === "string" && payload.organization_id !== undefined && Array.isArray(payload.scenarios);
};

// Yields {pulls, alerts, assets, withoutEvents, notes, isComplete}: first the newest events, then all. Raises the error of
// the first page of events; what else can't be read is a note.
export async function* findEvents(get, now) {
  const notes = [];
  const optional = async (what, promise, fallback) => {
    try {
      return await promise;
    } catch (error) {
      if (error.needsLogin) throw error;
      notes.push(error.status === 403 ? `You are not allowed to see ${what}.` : `${what} can't be read: ${error.message}.`);
      return fallback;
    }
  };
  const period = ["timestamp_gte", new Date(now - MAX_DAYS * DAY).toISOString()];
  const newest = [["order_by", "-timestamp"], period];
  const events = async (parameters, offset = 0, limit = PAGE) => {
    const answer = await get("assets/events", [...newest, ...parameters, ["limit", limit], ["offset", offset]]);
    return { events: asList(answer.asset_events).filter(isObject), total: answer.total_entries ?? 0 };
  };

  const [recent, tasks, assets] = await Promise.all([
    events([]),
    optional("task instances", allPages(get, TASKS, "task_instances", MAX_PAGES_OF_TASKS), []),
    optional("assets", allPages(get, ASSETS, "assets", MAX_PAGES_OF_ASSETS), []),
  ]);

  const sources = findSources(recent.events, tasks, assets);
  const first = Math.min(PAGE, Math.max(10, Math.floor(MAX_EVENTS / (sources.length || 1))));
  const [read, alerts] = await Promise.all([
    Promise.all(sources.map(async (source) => {
      const parameters = [["source_dag_id", source.dag], ["source_task_id", source.task]];
      const page = await optional(`events of ${source.dag}`, events(parameters, 0, first), { events: [], total: 0 });
      return { ...source, parameters, total: page.total, events: page.events, read: page.events.length };
    })),
    Promise.all(findWatchedAssets(recent.events, assets).map((id) =>
      optional("events of watchers", events([["asset_id", id]], 0, ALERTS_OF_AN_ASSET), { events: [] }),
    )),
  ]);
  const summary = (pages, isComplete) => {
    const unique = new Map(pages.flatMap((page) => page.events).map((event) => [event.id, event]));
    const all = [...unique.values()].sort((a, b) => (a.timestamp < b.timestamp ? 1 : -1));
    return {
      pulls: all.filter(isPull).slice(0, MAX_EVENTS),
      alerts: all.filter(isAlert),
      assets,
      withoutEvents: read.filter((source) => source.ran && !source.events.some(isPull)),
      notes: [...new Set(notes)],
      isComplete,
    };
  };

  const rest = planPages(read.filter((source) => source.events.some(isPull)), MAX_EVENTS);
  if (rest.length) yield summary([recent, ...read, ...alerts], false);
  const more = await Promise.all(
    rest.map(({ parameters, offset }) => optional("older events", events(parameters, offset), { events: [] })),
  );
  yield summary([recent, ...read, ...alerts, ...more], true);
}

// Of mapped tasks, the first index is enough.
const TASKS = [
  "dags/~/dagRuns/~/taskInstances",
  [["operator", "MakeAnalyticsOperator"], ["map_index", -1], ["map_index", 0], ["order_by", "-start_date"]],
];
const ASSETS = ["assets", [["order_by", "id"]]];

async function allPages(get, [path, parameters], key, maximum) {
  const page = (offset) => get(path, [...parameters, ["limit", PAGE], ["offset", offset]]);
  const first = await page(0);
  const count = Math.min(maximum, Math.ceil((first.total_entries ?? 0) / PAGE));
  const more = await Promise.all(Array.from({ length: Math.max(0, count - 1) }, (_, index) => page((index + 1) * PAGE)));
  return [first, ...more].flatMap((each) => asList(each[key])).filter(isObject);
}

const isNamedAfterMake = (asset) => /\bmake(?![a-z])|^make:/i.test(`${asset.name} ${asset.uri}`.replaceAll("_", " "));

// Tasks that pull: those of the operator, and those of subclasses and of hooks, by their recent events or their assets.
export function findSources(recent, tasks, assets) {
  const sources = new Map();
  const add = (dag, task, ran) => {
    if (typeof dag !== "string" || typeof task !== "string") return;
    const key = JSON.stringify([dag, task]);
    sources.set(key, { dag, task, ran: ran || (sources.get(key)?.ran ?? false) });
  };
  for (const event of recent.filter(isPull)) add(event.source_dag_id, event.source_task_id, false);
  for (const instance of tasks) add(instance.dag_id, instance.task_id, instance.state === "success");
  for (const asset of assets.filter(isNamedAfterMake)) {
    for (const producer of asList(asset.producing_tasks)) add(producer?.dag_id, producer?.task_id, false);
  }
  return [...sources.values()].slice(0, MAX_SOURCES);
}

// Assets whose events may be a watcher's. Airflow 3.1 does not know which assets have watchers.
export function findWatchedAssets(recent, assets) {
  const known = recent.filter(isAlert).map((event) => event.asset_id);
  const likely = assets
    .filter((asset) => isObject(asset.last_asset_event) && asset.last_asset_event.timestamp)
    .filter((asset) =>
      Array.isArray(asset.watchers)
        ? asset.watchers.length > 0
        : asList(asset.producing_tasks).length === 0 && asList(asset.scheduled_dags).length > 0,
    )
    .sort(
      (a, b) =>
        isNamedAfterMake(b) - isNamedAfterMake(a) ||
        (a.last_asset_event.timestamp < b.last_asset_event.timestamp ? 1 : -1),
    );
  return [...new Set([...known, ...likely.map((asset) => asset.id)])].slice(0, MAX_WATCHED_ASSETS);
}

// The further pages of each source, in turn, until there are enough events of all together.
export function planPages(sources, maximum) {
  const pages = [];
  let left = maximum - sources.reduce((sum, source) => sum + source.read, 0);
  const next = sources.map((source) => ({ parameters: source.parameters, offset: source.read, total: source.total }));
  while (left > 0 && next.some((source) => source.offset < source.total)) {
    for (const source of next) {
      if (source.offset >= source.total || left <= 0) continue;
      pages.push({ parameters: source.parameters, offset: source.offset });
      left -= Math.min(PAGE, source.total - source.offset);
      source.offset += PAGE;
    }
  }
  return pages;
}
