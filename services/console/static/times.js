// Times in the reader's own zone, and how long ago they are, kept true while the page is open.
"use strict";
const times = (() => {
  const NOW_SECONDS = 5; // as services/console/pages/words.py has it
  const DAY_MS = 86400 * 1000;
  const EVERY_MS = 5000;
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const day = { day: "2-digit", month: "short" };
  const formats = {
    exact: new Intl.DateTimeFormat("en-GB", { ...day, ...clock, year: "numeric", timeZoneName: "short" }),
    short: new Intl.DateTimeFormat("en-GB", { ...day, ...clock }),
    clock: new Intl.DateTimeFormat("en-GB", clock),
    minute: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    tick: new Intl.DateTimeFormat("en-GB", { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  };

  function span(seconds) {
    const [size, unit] = steps.find(([least]) => seconds >= least) ?? steps.at(-1);
    return `${Math.floor(seconds / size)} ${unit}`;
  }

  function ago(at, now = Date.now()) {
    const seconds = (now - at) / 1000;
    if (Math.abs(seconds) < NOW_SECONDS) return "now";
    return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  }

  function soon(at, now = Date.now()) {
    return formats[Math.abs(at - now) < DAY_MS ? "minute" : "tick"].format(at);
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  const relative = { relative: ago, soon };

  function show(element) {
    const at = new Date(element.getAttribute("datetime") ?? element.dataset.at);
    if (Number.isNaN(at.getTime())) return;
    const kind = element.dataset.time;
    say(element, relative[kind]?.(at) ?? formats[kind].format(at));
    if (element instanceof HTMLElement) element.title = formats.exact.format(at);
  }

  function elsewhere(element) {
    const zone = element.dataset.zone;
    const there = new Intl.DateTimeFormat("en-GB", { ...day, ...clock, timeZone: zone });
    say(element, `${there.format(new Date(element.dataset.at))} in ${zone.split("/").at(-1).replaceAll("_", " ")}`);
  }

  function refresh(root = document) {
    root.querySelectorAll("[data-time]").forEach(show);
    root.querySelectorAll("[data-zone]").forEach(elsewhere);
  }

  refresh();
  setInterval(() => {
    if (!document.hidden) document.querySelectorAll("[data-time=relative], [data-time=soon]").forEach(show);
  }, EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(name, () => refresh());
  return { ago, refresh, span };
})();
