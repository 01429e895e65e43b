// The page: fetches the events, and shows organizations, charts and alerts.

import * as airflow from "./airflow.js";
import { makeUrl } from "./alerts.js";
import { chart } from "./charts.js";
import { html, link } from "./dom.js";
import { findEvents } from "./events.js";
import { changeOf, organizations } from "./figures.js";
import { ago, amount, clock, day, duration, every, percent, plural, shortAmount, utc } from "./format.js";

const MINUTE = 60_000, DAY = 86_400_000;
const REFRESH = 5 * MINUTE;
const ALERTS_AT_FIRST = 3, SCENARIOS_AT_FIRST = 5;

const FIGURES = [
  { name: "error_rate", label: "Error rate", short: percent, long: percent, charted: true },
  { name: "executions", label: "Executions", short: shortAmount, long: amount, charted: true },
  { name: "credits", label: "Credits", short: shortAmount, long: amount, charted: true },
  { name: "errors", label: "Errors", short: shortAmount, long: amount },
  { name: "operations", label: "Operations", short: shortAmount, long: amount },
];
const SNIPPET = `from airflow.sdk import Asset

MakeAnalyticsOperator(
    task_id="pull",
    ...,
    outlets=[Asset("make_analytics")],
)`;

const [content, status, footer, refresh] = ["content", "status", "footer", "refresh"].map((id) => document.getElementById(id));
let shown = null, readAt = 0;
let zone = airflow.timeZone();

/* Times: in the viewer's zone, with UTC on hover, and as an age that grows */

function time(at, text = clock(at, zone)) {
  return html("time", { datetime: new Date(at).toISOString(), title: utc(at) }, text);
}

function age(at) {
  const element = time(at, ago(at, Date.now()));
  element.title = `${clock(at, zone)} (${utc(at)})`;
  element.dataset.age = at;
  return element;
}

function updateAges() {
  for (const element of document.querySelectorAll("[data-age]")) {
    element.textContent = ago(Number(element.dataset.age), Date.now());
  }
}

/* Organizations */

function organizationCard(organization) {
  const { id, name, pulls, alerts } = organization;
  const title = name || `Organization ${id || "without an id"}`;
  const url = /^\d+$/.test(id) ? makeUrl(organization.zone, `organization/${id}/dashboard`) : null;
  const late = pulls.some((pull) => pull.late);
  return html(
    "section",
    { class: "organization", "aria-label": title },
    html(
      "header",
      {},
      html("h2", {}, link(url, {}, html("bdi", {}, title))),
      html("p", { class: "faint" }, html("bdi", {}, [name && `Organization ${id}`, organization.zone].filter(Boolean).join(" · "))),
      late && html("strong", { class: "badge worse" }, "Late"),
    ),
    pulls.map((pull) => pullSection(pull, alerts, pulls.length > 1, title)),
    !pulls.length &&
      html("p", { class: "faint" }, "It is watched, but no pull of it has left an asset event. ", howToDeclare("Show its figures here")),
    alertList(organization),
  );
}

function pullSection(pull, alerts, oneOfSeveral, title) {
  const { newest, frames } = pull;
  const source = `${newest.dag} · ${newest.task}`;
  const run = newest.dag && newest.run && newest.task;
  const maxPause = pull.rhythm === null ? Infinity : 1.6 * pull.rhythm;
  const marks = alerts.map((alert) => alert.at);
  return html(
    "div",
    { class: "pull" },
    (oneOfSeveral || pull.filters) && html("h3", {}, html("bdi", {}, [pull.filters && `Only ${pull.filters}`, oneOfSeveral && newest.task].filter(Boolean).join(" · "))),
    html(
      "p",
      { class: pull.late ? "freshness worse" : "freshness" },
      pull.late ? "Late: figures until " : "Figures until ",
      time(newest.to),
      ", ",
      age(newest.to),
      newest.from !== null && `, over ${duration(newest.to - newest.from)}`,
      pull.rhythm !== null && `; new ones usually ${every(pull.rhythm)}`,
      Object.values(pull.usual).some(Boolean) && `; changes are against ${pull.comparedWith}`,
      ".",
    ),
    html(
      "div",
      { class: "figures" },
      FIGURES.filter((figure) => figure.charted).map((figure) => chartedFigure(figure, pull, marks, maxPause, title)),
    ),
    html(
      "p",
      { class: "more faint" },
      FIGURES.filter((figure) => !figure.charted).map((figure) =>
        html("span", {}, `${figure.label} `, html("b", { title: figure.long(newest[figure.name]) }, figure.short(newest[figure.name])), change(figure, pull)),
      ),
      newest.scenarios !== null && html("span", {}, "Scenarios ", html("b", {}, amount(newest.scenarios))),
      run && html("span", {}, "Pulled by ", html("a", { href: airflow.taskUrl(newest.dag, newest.run, newest.task, newest.mapIndex) }, html("bdi", {}, source))),
    ),
    table(pull, title),
  );
}

function chartedFigure(figure, pull, marks, maxPause, title) {
  const points = pull.frames.map((frame) => ({ at: frame.to, value: frame[figure.name] }));
  const value = html("span", { class: "value" });
  const note = html("span", { class: "note" });
  const read = (index) => {
    const frame = index === null ? pull.newest : pull.frames[index];
    const number = frame[figure.name];
    value.textContent = figure.short(number);
    value.title = figure.long(number);
    note.replaceChildren(index === null ? (change(figure, pull) ?? "") : time(frame.to));
  };
  read(null);
  const known = points.map((point) => point.value).filter((number) => number !== null);
  const [hasCourse, highest] = [known.length > 1, Math.max(...known)];
  return html(
    "figure",
    {},
    html("figcaption", {}, html("span", { class: "label" }, figure.label), value, note),
    hasCourse
      ? [
          chart({
            label: `${figure.label} of ${title}`,
            points,
            marks: figure.name === "error_rate" ? marks : [],
            maxPause,
            describe: (point) => `${clock(point.at, zone)}: ${figure.long(point.value)}`,
            onRead: read,
          }),
          html("p", { class: "axis faint", "aria-hidden": "true" }, html("span", {}, day(points[0].at, zone)), html("span", {}, `highest ${figure.short(highest)}`), html("span", {}, day(points.at(-1).at, zone))),
        ]
      : html("p", { class: "faint none" }, "The course is shown after a second pull."),
  );
}

function change(figure, pull) {
  const found = changeOf(figure.name, pull.newest[figure.name], pull.usual[figure.name]);
  if (!found) return null;
  const size = Math.abs(found.change);
  const shownSize = found.unit === "points" ? `${size.toFixed(size < 10 ? 2 : 1)} points` : `${size < 10 ? size.toFixed(1) : Math.round(size).toLocaleString("en")} %`;
  const text = /[1-9]/.test(shownSize) ? ` ${found.change > 0 ? "+" : "−"}${shownSize}` : " as usual";
  const median = figure.long(pull.usual[figure.name].median);
  return html("span", { class: `change ${found.remark}`, title: `Usually ${median}` }, text);
}

function table(pull, title) {
  const details = html("details", { "data-key": `table ${pull.key}` }, html("summary", {}, `All ${plural(pull.frames.length, "time frame")} as a table`));
  details.addEventListener("toggle", () => details.open && details.children.length === 1 && details.append(rows(pull, title)));
  return details;
}

function rows(pull, title) {
  const moment = (at) => (at === null ? "" : time(at));
  const run = (frame) =>
    frame.dag && frame.run && frame.task ? html("a", { href: airflow.taskUrl(frame.dag, frame.run, frame.task, frame.mapIndex) }, "Run") : "";
  return html(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `Figures of ${title}` },
    html(
      "table",
      {},
      html("thead", {}, html("tr", {}, ["From", "Until", ...FIGURES.map((figure) => figure.label), "Scenarios", "Airflow"].map((name) => html("th", { scope: "col" }, name)))),
      html(
        "tbody",
        {},
        pull.frames.toReversed().map((frame) =>
          html(
            "tr",
            {},
            html("td", {}, moment(frame.from)),
            html("td", {}, moment(frame.to)),
            FIGURES.map((figure) => html("td", { class: "number" }, figure.long(frame[figure.name]))),
            html("td", { class: "number" }, amount(frame.scenarios)),
            html("td", {}, run(frame)),
          ),
        ),
      ),
    ),
  );
}

/* Alerts */

function alertList({ alerts, pulls, key }) {
  if (!alerts.length) return null;
  const [first, rest] = [alerts.slice(0, ALERTS_AT_FIRST), alerts.slice(ALERTS_AT_FIRST)];
  return html(
    "div",
    { class: "alerts" },
    html("h3", {}, "Alerts ", pulls.length > 0 && html("span", { class: "hint faint" }, "dotted lines in the error rate")),
    html("ul", {}, first.map(alertItem)),
    rest.length > 0 && more(`${plural(rest.length, "older alert")}`, `alerts ${key}`, html("ul", {}, rest.map(alertItem))),
  );
}

function alertItem(alert) {
  const recent = Date.now() - alert.at < DAY;
  const [first, rest] = [alert.scenarios.slice(0, SCENARIOS_AT_FIRST), alert.scenarios.slice(SCENARIOS_AT_FIRST)];
  const notListed = alert.scenarioCount - alert.scenarios.length;
  return html(
    "li",
    { class: recent ? "alert recent" : "alert" },
    html(
      "p",
      {},
      html("b", {}, html("bdi", {}, alert.headline)),
      html("span", { class: "faint" }, age(alert.at), " · ", html("bdi", {}, alert.asset)),
      alert.runs.map((run) => html("a", { href: airflow.runUrl(run.dag, run.run) }, html("bdi", {}, `Run of ${run.dag}`), run.state === "failed" && " (failed)")),
    ),
    first.length > 0 && html("ul", {}, first.map(scenarioItem)),
    rest.length > 0 && more(plural(rest.length, "further scenario"), `scenarios ${alert.id}`, html("ul", {}, rest.map(scenarioItem))),
    notListed > 0 && html("p", { class: "faint" }, `${plural(notListed, "more scenario")} crossed the threshold.`),
  );
}

function scenarioItem(scenario) {
  return html(
    "li",
    {},
    link(scenario.url, {}, html("bdi", {}, scenario.name)),
    scenario.team && html("span", { class: "faint" }, html("bdi", {}, ` ${scenario.team}`)),
    scenario.figures && html("span", { class: "faint" }, ` · ${scenario.figures}`),
    scenario.reasons.length > 0 &&
      html(
        "ul",
        { class: "reasons" },
        scenario.reasons.map((reason) =>
          html(
            "li",
            {},
            reason.count !== null && html("span", { class: "faint" }, `${amount(reason.count)} × `),
            html("bdi", {}, reason.text),
            reason.module && html("span", { class: "faint" }, " in ", html("bdi", {}, reason.module)),
            reason.url && [" · ", link(reason.url, {}, "Execution")],
            reason.at !== null && html("span", { class: "faint" }, " · ", age(reason.at)),
          ),
        ),
      ),
  );
}

function more(label, key, inside) {
  return html("details", { "data-key": key }, html("summary", {}, label), inside);
}

/* The page as a whole */

function summary(found, now) {
  const late = found.filter((organization) => organization.pulls.some((pull) => pull.late)).length;
  const alerts = found.flatMap((organization) => organization.alerts).filter((alert) => now - alert.at < DAY).length;
  return [
    `${plural(found.length, "organization")}${found.length > 1 || late ? `, ${late || "none"} late` : ""}`,
    alerts ? `${plural(alerts, "alert")} in the last 24 hours` : "no alerts in the last 24 hours",
  ].join("; ");
}

function howToDeclare(label, key = label) {
  return more(label, key, [
    html("p", {}, "A pull is shown if it has an outlet. Its asset events then contain the figures:"),
    html("pre", { tabindex: 0 }, html("code", {}, SNIPPET)),
    html("p", {}, "For alerts, schedule a Dag by an asset with a MakeAnalyticsEventTrigger."),
  ]);
}

function show({ organizations: found, withoutEvents, notes }) {
  const cards = found.map(organizationCard);
  if (!found.length) {
    const declare = howToDeclare("How to declare an outlet");
    declare.open = true;
    cards.push(html("section", { class: "empty" }, html("h2", {}, "No pull and no watcher has left an asset event in the last year"), declare));
  }
  content.replaceChildren(...cards);
  footer.replaceChildren(
    ...[
      ...notes.map((note) => html("p", {}, note.slice(0, 1).toUpperCase() + note.slice(1))),
      withoutEvents.length > 0 &&
        html(
          "p",
          {},
          "Not shown, because they left no asset event: ",
          withoutEvents.map((pull, index) => [index ? ", " : "", html("a", { href: airflow.dagUrl(pull.dag) }, html("bdi", {}, `${pull.dag} · ${pull.task}`))]),
          ".",
        ),
      found.length > 0 && howToDeclare("A pull is missing?"),
      html("p", {}, `Times are in ${zone}. From the newest 1,000 events of a year at most; nothing is stored, and nothing is asked of Make.`),
    ].filter(Boolean),
  );
}

// What was opened stays open, and what had the focus keeps it.
function showAgain(data) {
  const focused = document.activeElement?.closest("[data-key]")?.dataset.key;
  const open = new Set([...document.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  show(data);
  for (const each of document.querySelectorAll("details[data-key]")) {
    if (open.has(each.dataset.key)) each.open = true;
    if (each.dataset.key === focused) each.querySelector("summary").focus();
  }
}

function showProblem(error) {
  const [title, text] = error.needsLogin
    ? ["Your session has ended", html("a", { href: airflow.loginUrl(), "data-reload": true }, "Log in again")]
    : error.status === 403
      ? ["You are not allowed to see asset events", "This page is made of them. Ask an administrator of this Airflow for the right to read assets."]
      : ["Airflow did not answer", html("span", {}, `${error.message}. `, html("button", { type: "button", onclick: load }, "Try again"))];
  const notice = html("section", { class: "empty", role: "alert" }, html("h2", {}, title), html("p", {}, text));
  status.textContent = "";
  // Figures that are there remain: they are as old as they say.
  if (shown) content.prepend(notice);
  else content.replaceChildren(notice);
}

async function load() {
  if (refresh.disabled) return;
  refresh.disabled = true;
  try {
    const now = Date.now();
    for await (const events of findEvents(airflow.get, now)) {
      // The newest events are shown as soon as possible; later, what is shown stays until all are there.
      if (shown && !events.isComplete && shown.isComplete) continue;
      const data = { ...events, organizations: organizations(events, now) };
      const changed = document.querySelector("main > .empty") || JSON.stringify(data) !== JSON.stringify(shown);
      shown = data;
      if (changed) showAgain(data);
      status.textContent = data.organizations.length ? `${summary(data.organizations, now)}.` : "";
      document.documentElement.dataset.ready = data.isComplete ? "all" : "newest";
      performance.mark(data.isComplete ? "complete" : "newest");
    }
    readAt = now;
    status.title = `Read at ${clock(now, zone)}`;
  } catch (error) {
    document.querySelectorAll("main > .empty").forEach((each) => each.remove());
    showProblem(error);
    document.documentElement.dataset.ready = "all";
    if (error.status === undefined) console.error(error);
  } finally {
    refresh.disabled = false;
    refresh.hidden = false;
  }
}

airflow.followColors();
airflow.followLinks();
airflow.onTimeZone(() => {
  zone = airflow.timeZone();
  if (shown) showAgain(shown);
});
refresh.addEventListener("click", load);
setInterval(() => {
  updateAges();
  if (Date.now() - readAt > REFRESH && document.visibilityState === "visible") load();
}, MINUTE);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && readAt && Date.now() - readAt > REFRESH) load();
});
load();
