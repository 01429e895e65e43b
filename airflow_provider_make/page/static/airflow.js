// The Airflow around the page: its API, colors, time zone, and links out of its frame.

import { asObject } from "./format.js";

const base = new URL("../", document.baseURI);
const CONCURRENT_REQUESTS = 4;
// Airflow answers 500 for a moment, while a run that an event created has not started.
const PAUSES_BEFORE_RETRIES = [500, 2000];

export class ApiError extends Error {
  constructor(status, detail) {
    super(`HTTP ${status}${detail ? `: ${detail}` : ""}`);
    this.status = status;
    // Airflow says 403 of a session that it can't read.
    this.needsLogin = status === 401 || (status === 403 && detail === "Invalid JWT token");
  }
}

// The window with Airflow's own page; this one, if the page was opened by itself.
function outer() {
  try {
    void window.parent.document.body;
    return window.parent;
  } catch {
    return window;
  }
}

function stored(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null;
  }
}

/* The API */

let running = 0;
const waiting = [];

async function oneOfFew(request) {
  if (running >= CONCURRENT_REQUESTS) await new Promise((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await request();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

// Parameters are pairs, because some occur several times.
export function get(path, parameters = []) {
  const url = new URL(`api/v2/${path}`, base);
  url.search = new URLSearchParams(parameters);
  return oneOfFew(async () => {
    for (const pause of [...PAUSES_BEFORE_RETRIES, null]) {
      const response = await authorized(url);
      if (response.ok) {
        const answer = await response.json().catch(() => {
          throw new ApiError(response.status, "the response is not JSON");
        });
        return asObject(answer);
      }
      if (response.status < 500 || pause === null) {
        const body = await response.json().catch(() => null);
        throw new ApiError(response.status, typeof body?.detail === "string" ? body.detail : "");
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  });
}

async function authorized(url) {
  const headers = { Accept: "application/json" };
  const response = await fetch(url, { headers });
  // Airflow 3.1.0 has no cookie, only this.
  const token = response.status === 401 && stored("token");
  if (!token) return response;
  return fetch(url, { headers: { ...headers, Authorization: `Bearer ${token.replaceAll('"', "")}` } });
}

/* Colors */

export function followColors() {
  const root = outer().document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const known = outer() !== window && (root.classList.contains("dark") || root.classList.contains("light"));
    const dark = known ? root.classList.contains("dark") : system.matches;
    document.documentElement.dataset.colors = dark ? "dark" : "light";
    // Of several versions of Airflow, each has its own dark.
    const ground = known ? outer().getComputedStyle(outer().document.body).backgroundColor : "";
    if (/^rgb\(/.test(ground)) document.documentElement.style.setProperty("--ground", ground);
    else document.documentElement.style.removeProperty("--ground");
  };
  if (outer() !== window) new MutationObserver(apply).observe(root, { attributeFilter: ["class"] });
  system.addEventListener("change", apply);
  apply();
}

/* Time zone */

export function timeZone() {
  try {
    const name = JSON.parse(stored("timezone")) ?? undefined;
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    return new Intl.DateTimeFormat("en").resolvedOptions().timeZone;
  }
}

export function onTimeZone(changed) {
  window.addEventListener("storage", (event) => event.key === "timezone" && changed());
}

/* Links */

const path = (...parts) => parts.map(encodeURIComponent).join("/");

export const dagUrl = (dag) => new URL(path("dags", dag), base).href;
export const runUrl = (dag, run) => new URL(path("dags", dag, "runs", run), base).href;
export function taskUrl(dag, run, task, mapIndex) {
  const mapped = mapIndex >= 0 ? ["mapped", mapIndex] : [];
  return new URL(path("dags", dag, "runs", run, "tasks", task, ...mapped), base).href;
}

export function loginUrl() {
  const url = new URL("auth/login", base);
  url.searchParams.set("next", outer().location.href);
  return url.href;
}

// Airflow's frame opens no tabs and leaves only for what its own document does.
export function followLinks() {
  const follow = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button > 1 || outer() === window) return;
    event.preventDefault();
    const inAirflow = link.href.startsWith(base.href);
    const newTab = !inAirflow || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
    const { history, document: page, PopStateEvent } = outer();
    if (newTab || "reload" in link.dataset) {
      const copy = page.createElement("a");
      copy.href = link.href;
      copy.rel = "noopener noreferrer";
      if (newTab) copy.target = "_blank";
      page.body.append(copy);
      copy.click();
      copy.remove();
    } else {
      history.pushState(null, "", link.href);
      outer().dispatchEvent(new PopStateEvent("popstate", { state: null }));
    }
  };
  document.addEventListener("click", follow);
  document.addEventListener("auxclick", follow);
}
