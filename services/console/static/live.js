// What happens, as it happens: which part of the page an event of the stream changes, and how fresh the page is.
"use strict";
(() => {
  const { stream: url, worker: script, heartbeat, page } = document.body.dataset;
  const status = document.getElementById("live-status");
  if (!url || !script) {
    if (status) status.hidden = true;
    return;
  }
  const PAUSE_MS = { inbox: 250, alert: 600, customer: 600, search: 60000 }[page] ?? 600;
  const MOST_IDS = 100; // as the address takes
  const LONGEST_PAUSE_MS = 15000; // between reads that fail
  const SILENCE_MS = Math.max(2000, Number(heartbeat) * 2500); // two and a half heartbeats
  const PING_MS = 20000;
  const HIDDEN_MS = 60000; // a page nobody sees gives its own stream back after this
  const live = document.getElementById("live");
  const changed = new Set(); // what the stream told of
  const unsure = new Set(); // rows that are shown, and may have changed while nobody told
  let everything = false;
  let running = false;
  let failures = 0;
  let failedAt = 0;
  let timer = null;
  let state = "connecting";
  let heardAt = Date.now();

  // -- what to read again -------------------------------------------------------------------------------------------

  // Takes what there is to read, so that what comes meanwhile is read after it.
  function take() {
    const all = everything || (page === "inbox" && changed.size > MOST_IDS);
    if (all && page === "inbox") for (const id of lists.ids()) unsure.add(id);
    const ids = all ? [] : [...changed, ...unsure].slice(0, MOST_IDS);
    everything = false;
    if (all) changed.clear();
    for (const id of ids) {
      changed.delete(id);
      unsure.delete(id);
    }
    return { all, ids };
  }

  function giveBack({ all, ids }) {
    everything ||= all;
    for (const id of ids) changed.add(id);
  }

  function request({ all, ids }) {
    if (page === "inbox") {
      const query = new URLSearchParams(document.getElementById("alerts").dataset.query);
      if (!all) query.set("ids", ids.join(","));
      return [`/inbox/live?${query}`, { source: live, target: live, swap: "none" }];
    }
    const swap = live.getAttribute("hx-swap");
    return [live.dataset.refresh, { source: live, target: live.getAttribute("hx-target") ?? live, swap }];
  }

  // htmx keeps its promise also where the answer is an error; this is whether it was what was asked for.
  let answered = false;
  live?.addEventListener("htmx:beforeOnLoad", (event) => {
    answered = event.detail.xhr.status < 300;
    // Nobody asked for it by hand: the lamp tells, and no line at the edge of the page, nor the way to the door.
    if (!answered) event.preventDefault();
  });

  const due = () => everything || changed.size > 0 || unsure.size > 0;

  async function read() {
    timer = null;
    if (running || !live || !due()) return;
    running = true;
    answered = false;
    const taken = take();
    await htmx.ajax("GET", ...request(taken)).catch(() => {});
    running = false;
    if (answered) failures = 0;
    else {
      giveBack(taken);
      failedAt = failures ? failedAt : Date.now();
      failures += 1;
    }
    show();
    if (due() && state !== "ended") soon();
  }

  function soon() {
    timer ??= setTimeout(read, failures ? Math.min(PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) : PAUSE_MS);
  }

  function concerns({ name, data }) {
    if (name === "heartbeat") return false;
    if (name === "reset") everything = true;
    else if (page === "inbox") changed.add(JSON.parse(data).alert.id);
    else if (page === "customer" || page === "alert") {
      const mine = document.getElementById("alert")?.dataset.alert;
      const shared = url.includes("events=alert");
      if (!shared || JSON.parse(data).alert.id === mine) changed.add("page");
    } else return false;
    return true;
  }

  // -- how fresh it is ----------------------------------------------------------------------------------------------

  const words = { live: "Live", connecting: "Connecting", lost: "Stale", ended: "Signed out" };
  const bar = document.createElement("p");
  bar.className = "stale";
  bar.setAttribute("role", "status");
  bar.hidden = true;
  const said = bar.appendChild(document.createElement("span"));
  const since = bar.appendChild(document.createElement("span"));
  since.setAttribute("aria-hidden", "true");
  document.body.append(bar);

  function show() {
    // A page that hears what changes and can't read it is not live.
    const seen = state === "live" && failures ? "lost" : state;
    if (status.dataset.state !== seen) status.dataset.state = seen;
    const text = status.querySelector(".text");
    if (text.textContent !== words[seen]) text.textContent = words[seen];
    bar.hidden = seen === "live" || seen === "connecting";
    if (bar.hidden) return;
    const sentence = state === "ended" ? "Your sign-in has ended." : "Reconnecting";
    if (said.textContent !== sentence) said.textContent = sentence;
    const last = failures ? Math.min(heardAt, failedAt) : heardAt;
    since.textContent = state === "ended" ? "" : `, last update ${times.span(Math.max(1, (Date.now() - last) / 1000))} ago`;
    if (state !== "ended") bar.querySelector("a")?.remove();
    else if (!bar.querySelector("a")) {
      const link = bar.appendChild(document.createElement("a"));
      link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = " Sign in again";
    }
  }

  function hear({ data: message }) {
    if (message.url !== url) return;
    heardAt = message.heardAt ?? Date.now();
    if (message.joined) state = "connecting";
    const told = message.state ?? "live"; // an event comes from a stream that lives
    if (told === "live" && Date.now() - heardAt > SILENCE_MS) return; // what the worker knew before a sleep
    // What happened while the page did not listen, nobody tells it; read once more.
    if (told === "live" && state !== "live") {
      everything = true;
      soon();
    }
    if (message.name && concerns(message)) soon();
    state = told;
    show();
  }

  // -- the stream ---------------------------------------------------------------------------------------------------

  const shared = "SharedWorker" in window;
  const made = shared ? new SharedWorker(script) : new Worker(script);
  const port = shared ? made.port : made;
  port.onmessage = hear;
  let joined = false;
  let hiding = null;

  // Also says that the page is there: a worker that has forgotten it, over a long sleep, takes it in again.
  function open() {
    port.postMessage({ open: url, heartbeat: Number(heartbeat) });
  }

  function join() {
    if (joined) return;
    joined = true;
    open();
  }

  function watch() {
    if (joined && state === "live" && Date.now() - heardAt > SILENCE_MS) {
      state = "lost";
      open();
    }
    show();
  }

  function leave() {
    joined = false;
    state = "connecting";
    port.postMessage({ bye: true });
  }

  join();
  show();
  setInterval(() => joined && open(), PING_MS);
  setInterval(watch, 1000);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", join);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (!document.hidden) join();
    else if (!url.includes("events=alert")) hiding = setTimeout(leave, HIDDEN_MS);
  });

  document.addEventListener("htmx:beforeOnLoad", ({ detail }) => {
    if (detail.pathInfo.requestPath === "/sign-out" && detail.xhr.status < 300) port.postMessage({ renew: true });
  });
  document.addEventListener("htmx:oobAfterSwap", () => {
    const open = document.getElementById("filters")?.dataset.open;
    if (page === "inbox" && open !== undefined) {
      document.title = `${open === "0" ? "" : `(${open}) `}Inbox · Pathline`;
    }
  });
})();
