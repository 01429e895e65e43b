// From a watcher's event to an alert: its headline, scenarios, and the reasons why they failed.

import { asList, asNumber, asObject, asText, asTime, amount, percent, plural, webAddress } from "./format.js";

const METRICS = ["error_rate", "errors", "executions", "operations", "credits"];
// A host, with a port where a private instance has one.
const ZONE = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$/;

export function alertOf(event) {
  const payload = asObject(asObject(event.extra).payload);
  const lines = typeof payload.message === "string" ? payload.message.split("\n") : [];
  const zone = asText(payload.zone).toLowerCase() || (/\(([^()\s]+)\)\s*$/.exec(lines[1] ?? "")?.[1] ?? "").toLowerCase();
  const reasons = new Map(asList(payload.failures).map((each) => [asText(asObject(each).scenario_id), reasonsOf(each)]));
  const scenarios = asList(payload.scenarios).map((row) => scenarioOf(asObject(row), asText(payload.metric), zone));
  // In organization scope, the scenarios with the most errors are not among the payload's.
  const others = [...reasons].filter(([id]) => !scenarios.some((scenario) => scenario.id === id));
  for (const [id, list] of others) {
    if (list.length) scenarios.push({ id, name: `Scenario ${id}`, team: "", figures: "", url: null });
  }
  return {
    id: event.id,
    organization: asText(payload.organization_id),
    zone,
    at: asTime(payload.checked_at) ?? asTime(event.timestamp) ?? 0,
    asset: asText(event.name) || asText(event.uri),
    headline: headlineOf(payload, lines),
    scenarios: scenarios.map((scenario) => ({ ...scenario, reasons: reasons.get(scenario.id) ?? [] })),
    scenarioCount: Math.max(asNumber(payload.scenario_count) ?? 0, scenarios.length),
    runs: asList(event.created_dagruns)
      .map(asObject)
      .map((run) => ({ dag: asText(run.dag_id), run: asText(run.run_id), state: asText(run.state) }))
      .filter(({ dag, run }) => dag && run),
  };
}

function headlineOf(payload, lines) {
  const metric = asText(payload.metric);
  const comparison = asText(payload.comparison).replace(">=", "≥").replace("<=", "≤");
  const threshold = asNumber(payload.threshold);
  if (threshold === null) return capitalized(asText(lines[0]).replace(/^Make organization \S+: /, "")) || "Alert";
  const name = capitalized(metric.replaceAll("_", " "));
  const limit = `${comparison} ${described(metric, threshold)}`.trim();
  const total = asObject(payload.total);
  if (payload.scope === "scenario") {
    return `${name} ${limit} in ${plural(asNumber(payload.scenario_count) ?? asList(payload.scenarios).length, "scenario")}`;
  }
  const figures = figuresOf(total);
  return `${name} ${described(metric, asNumber(payload.value))} (${limit})${figures && `, ${figures}`}`;
}

function scenarioOf(row, metric, zone) {
  const id = asText(row.scenario_id);
  const team = asNumber(row.team_id);
  const value = metric === "credits" ? asNumber(row.centicredits) / 100 : asNumber(row[metric]);
  // The numbers of errors and executions are there anyway.
  const shown = ["errors", "executions"].includes(metric) ? "" : described(metric, value);
  return {
    id,
    name: asText(row.name) || `Scenario ${id}`,
    team: asText(row.team_name),
    figures: [shown, figuresOf(row)].filter(Boolean).join(", "),
    url: team === null || !/^\d+$/.test(id) ? null : makeUrl(zone, `${team}/scenarios/${id}/edit`),
  };
}

function reasonsOf(failures) {
  return asList(asObject(failures).errors).map(asObject).map((error) => ({
    count: asNumber(error.count),
    text: [asText(error.name), asText(error.message)].filter(Boolean).join(": ") || "Without an error message",
    module: asText(error.module),
    at: asTime(error.last_at),
    url: webAddress(asText(error.url)),
  }));
}

export function makeUrl(zone, path) {
  return ZONE.test(zone) ? `https://${zone}/${path}` : null;
}

export function described(metric, value) {
  if (metric.endsWith("_change")) return value === null ? "unknown" : `${value > 0 ? "+" : ""}${percent(value)}`;
  return metric === "error_rate" ? percent(value) : METRICS.includes(metric) ? amount(value) : asText(value);
}

function figuresOf(row) {
  const [executions, errors] = [asNumber(row.executions), asNumber(row.errors)];
  if (executions === null) return "";
  return `${errors === null ? "" : `${plural(errors, "error")} in `}${plural(executions, "execution")}`;
}

const capitalized = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
