// Pathline's script: docs/browser-script.md
(() => {
  "use strict";
  const script = document.currentScript, options = script?.dataset ?? {}, early = window.pathline ?? [];
  if (early.version) return;

  const KEPT = 100, CALL_BYTES = 32e3, BATCH_BYTES = 6e4, IDLE_MS = 18e5, SOON_MS = 400, LATER_MS = 6e4;
  const on = (name, f) => addEventListener(name, quiet(f), true);
  const quiet = (f) => (...a) => { try { return f(...a); } catch {} }; // nothing is thrown into the page
  const cut = (text, length = 120) => String(text ?? "").replace(/\s+/g, " ").trim().slice(0, length);
  const bare = (url) => url.split(/[?#]/)[0]; // a query may hold secrets
  const uuid = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}-${Math.random()}`;

  // Global Privacy Control: nothing is sent or stored.
  const silent = !options.key || (navigator.globalPrivacyControl && options.gpc !== "ignore");

  const memory = {};
  const write = (name, value) => {
    const text = JSON.stringify(value);
    try { localStorage["pathline." + name] = text; } catch { memory[name] = text; }
  };
  const read = (name) => quiet(() => JSON.parse(localStorage["pathline." + name]))() ?? JSON.parse(memory[name] ?? null);
  const anonymousId = () => {
    if (!read("anonymous")) write("anonymous", uuid());
    return read("anonymous");
  };

  // Calls wait here and, after a failed try, in localStorage. Message ids make a second try harmless.
  let queue = [], sending, timer, pause = SOON_MS;
  const bytes = (text) => new Blob([text]).size;
  const keep = (calls) => write("unsent", (queue = calls.slice(-KEPT)));
  const soon = () => { timer ??= setTimeout(flush, pause); };
  const add = (type, call, at = Date.now()) => {
    const who = { userId: read("user") ?? undefined, anonymousId: anonymousId() };
    const text = JSON.stringify({ type, ...call, ...who, messageId: uuid(), timestamp: new Date(at) });
    if (bytes(text) < CALL_BYTES) queue = [...queue, text].slice(-KEPT);
    soon();
  };
  const batch = () => {
    let size = 0;
    return queue.filter((text) => (size += bytes(text) + 1) < BATCH_BYTES);
  };
  const body = (calls) => {
    const context = { library: { name: "pathline.js", version }, locale: navigator.language };
    return JSON.stringify({ sentAt: new Date(), context }).slice(0, -1) + `,"batch":[${calls}]}`;
  };
  const drop = (calls) => keep(queue.filter((text) => !calls.includes(text)));
  const flush = async () => {
    timer = clearTimeout(timer);
    const calls = batch();
    if (sending || !calls.length) return;
    sending = true;
    try {
      const answer = await fetch(url, { method: "POST", body: body(calls), keepalive: true, credentials: "omit" });
      if (answer.status > 499 || answer.status === 429) throw 0;
      const { code, rejected } = await answer.json();
      if (code ?? rejected) console.warn("pathline: refused", code, rejected);
      drop(calls);
      pause = SOON_MS;
    } catch {
      quiet(keep)(queue);
      pause = Math.min(pause * 2, LATER_MS);
    }
    sending = false;
    if (queue.length) soon();
  };
  const leave = () => {
    for (let calls; pause === SOON_MS && (calls = batch()).length && navigator.sendBeacon(url, body(calls)); ) drop(calls);
    keep(queue);
  };

  // A visit ends when the site is left, or after half an hour of nothing.
  const visit = () => read("visit") ?? { began: Date.now(), seen: Date.now(), clicks: 0, views: 0 };
  const count = (what) => {
    const now = visit();
    write("visit", { ...now, seen: Date.now(), [what]: now[what] + 1 });
  };
  const endVisit = (at) => {
    const { began, clicks, views } = visit(), seconds = Math.round((at - began) / 1e3);
    write("visit", null);
    if (views) track("Visit Ended", { seconds, clicks, views }, at);
  };

  const track = (event, properties, at) => add("track", { event: cut(event), properties }, at);
  const page = (name, properties) => {
    errors = 0;
    path = location.pathname;
    count("views");
    properties = { path, url: bare(location.href), referrer: bare(document.referrer), ...properties };
    add("page", { name: cut(name ?? document.title), properties });
  };
  const identify = (userId, traits) => {
    if (Object(userId) === userId) traits = userId;
    else if (userId) write("user", userId);
    add("identify", { traits });
  };
  const reset = () => ["user", "anonymous", "visit"].forEach((name) => write(name, null));

  // An element is told by its name or label, never by what somebody types.
  let errors, path, during, when, inside = 0, effect = 0, clicks = [];
  const describe = (element) => {
    const kind = element.localName, name = element.dataset.pathline ?? (element.id || undefined);
    return cut(`${kind} ${name ?? (/^(a|button)$/.test(kind) ? element.textContent : "")}`, 60);
  };
  const clicked = ({ target, x, y }) => {
    if (target.closest("[data-pathline-ignore]")) return;
    const found = target.closest("a,button,input,select,[data-pathline]"), now = (when = Date.now());
    const element = (during = describe(found ?? target));
    count("clicks");
    if (found) track("Element Clicked", { element, page: path });
    if (found?.origin === location.origin) inside = now;
    clicks = [...clicks.filter((c) => now - c.now < 1e3 && Math.hypot(c.x - x, c.y - y) < 30), { now, x, y }];
    if (clicks.length === 4) track("Rage Clicked", { element, count: 4 });
    if (target.closest("button,a:not([href]),[href='#']"))
      setTimeout(() => { if (effect < now) track("Dead Clicked", { element }); }, 2500);
  };
  const failed = (error, file = "", line = "") => {
    const message_code = cut(`${error?.name ?? "Error"} ${bare(file).split("/").pop()} ${line}`);
    if (errors++ < 5) track("Error Shown", { message_code, page: path, during, after_ms: Date.now() - when });
  };
  const moved = () => setTimeout(() => { if (path !== location.pathname) api.page(); });
  const watch = () => {
    if (Date.now() - visit().seen > IDLE_MS) endVisit(visit().seen);
    page();
    if (performance.getEntriesByType("navigation")[0]?.type === "reload") track("Page Reloaded", { page: path });
    const push = history.pushState;
    history.pushState = function (...a) { push.apply(this, a); moved(); };
    on("popstate", moved);
    on("click", clicked);
    on("submit", () => { inside = effect = Date.now(); });
    new MutationObserver(() => { effect = Date.now(); })
      .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    on("error", (e) => { if (e.message) failed(e.error, e.filename, e.lineno); });
    on("unhandledrejection", (e) => failed(e.reason));
    on("pagehide", () => { if (Date.now() - inside > 3e3) endVisit(Date.now()); });
  };

  const version = "1", url = new URL("/beacon/v1/batch?writeKey=" + options.key, script?.src ?? location).href;
  const api = (window.pathline = { version });
  for (const f of [track, page, identify, reset, anonymousId]) api[f.name] = silent ? () => {} : quiet(f);
  api.push = ([name, ...a]) => api[name]?.(...a);
  if (silent) return;
  quiet(() => {
    queue = read("unsent") ?? [];
    if (options.auto !== "off") watch();
    on("pagehide", leave);
    on("visibilitychange", () => { if (document.hidden) leave(); });
    soon();
    early.forEach(api.push);
  })();
})();
