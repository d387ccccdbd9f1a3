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
  const PING_MS = 20000;
  const HIDDEN_MS = 60000; // a page nobody sees gives its own stream back after this
  const live = document.getElementById("live");
  const changed = new Set();
  let everything = false;
  let running = false;
  let timer = null;
  let state = "connecting";
  let heardAt = Date.now();

  // -- what to read again -------------------------------------------------------------------------------------------

  function request() {
    if (page === "inbox") {
      const query = new URLSearchParams(document.getElementById("alerts").dataset.query);
      if (!everything && changed.size <= MOST_IDS) query.set("ids", [...changed].join(","));
      return [`/inbox/live?${query}`, { source: live, target: live, swap: "none" }];
    }
    const swap = live.getAttribute("hx-swap");
    return [live.dataset.refresh, { source: live, target: live.getAttribute("hx-target") ?? live, swap }];
  }

  async function read() {
    timer = null;
    if (running || !live || !(everything || changed.size)) return;
    running = true;
    const [address, how] = request();
    everything = false;
    changed.clear();
    try {
      await htmx.ajax("GET", address, how);
    } catch {
      // The stream says that it is lost, and everything is read when it is back.
    } finally {
      running = false;
      if (everything || changed.size) soon();
    }
  }

  function soon() {
    timer ??= setTimeout(read, PAUSE_MS);
  }

  function concerns({ name, data }) {
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
    status.dataset.state = state;
    status.querySelector(".text").textContent = words[state];
    bar.hidden = state === "live" || state === "connecting";
    if (bar.hidden) return;
    const text = state === "ended" ? "Your sign-in has ended." : "Reconnecting";
    if (said.textContent !== text) said.textContent = text;
    since.textContent = state === "ended" ? "" : `, last update ${times.span(Math.max(1, (Date.now() - heardAt) / 1000))} ago`;
    if (state === "ended" && !bar.querySelector("a")) {
      const link = bar.appendChild(document.createElement("a"));
      link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = " Sign in again";
    }
  }

  function hear({ data: message }) {
    if (message.url !== url) return;
    heardAt = message.heardAt ?? Date.now();
    if (message.state) {
      // Between the page's making and the stream's opening something may have happened; read once more.
      if (message.state === "live" && state === "connecting") {
        everything = true;
        soon();
      }
      state = message.state;
      show();
    } else if (concerns(message)) soon();
  }

  // -- the stream ---------------------------------------------------------------------------------------------------

  const shared = "SharedWorker" in window;
  const made = shared ? new SharedWorker(script) : new Worker(script);
  const port = shared ? made.port : made;
  port.onmessage = hear;
  let joined = false;
  let hiding = null;

  function join() {
    if (joined) return;
    joined = true;
    port.postMessage({ open: url, heartbeat: Number(heartbeat) });
  }

  function leave() {
    joined = false;
    state = "connecting";
    port.postMessage({ bye: true });
  }

  join();
  show();
  setInterval(() => joined && port.postMessage({ ping: true }), PING_MS);
  setInterval(show, 1000);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", join);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (!document.hidden) join();
    else if (!url.includes("events=alert")) hiding = setTimeout(leave, HIDDEN_MS);
  });

  document.addEventListener("htmx:oobAfterSwap", () => {
    const open = document.getElementById("filters")?.dataset.open;
    if (page === "inbox" && open !== undefined) {
      document.title = `${open === "0" ? "" : `(${open}) `}Inbox · Pathline`;
    }
  });
})();
