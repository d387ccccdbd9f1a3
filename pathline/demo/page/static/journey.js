// The visitor's own journey, asked for again and again while the page is looked at.
"use strict";

const ASK_MS = 900, LATER_MS = 3_000;
const SEVERE = { critical: "Critical", high: "High", warning: "Warning", info: "Note" };
const SOME = ["name", "order_id", "status", "reason", "decline_code", "score", "query", "path", "element", "message_code", "topic"];
const shown = new Set();

const ago = (when) => {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(when)) / 1_000));
  return seconds < 60 ? `${seconds} s ago` : seconds < 3_600 ? `${Math.floor(seconds / 60)} min ago` : new Date(when).toLocaleTimeString();
};
const drawn = new WeakMap();
const clock = (when) => make("time", { dateTime: when, title: new Date(when).toLocaleString() }, ago(when));
const freshly = (id, element) => {
  if (!shown.has(id)) element.classList.add("new");
  shown.add(id);
  return element;
};
const words = (text) => String(text).replaceAll("_", " ");

// Draws what is new or has changed and leaves the rest where it is: a screen reader says what came, and focus stays.
function sync(id, items, keyOf, draw) {
  const place = document.getElementById(id), kept = new Map([...place.children].map((one) => [one.dataset.key, one]));
  const wanted = items.map((item) => {
    const key = keyOf(item), text = JSON.stringify(item), old = kept.get(key);
    if (old && drawn.get(old) === text) return old;
    const fresh = draw(item);
    fresh.dataset.key = key;
    drawn.set(fresh, text);
    return fresh;
  });
  for (const one of [...place.children]) if (!wanted.includes(one)) one.remove();
  wanted.forEach((one, at) => { if (place.children[at] !== one) place.insertBefore(one, place.children[at] ?? null); });
}
const itself = (item) => String(item);
const note = (text) => sync("touchpoints", [text], itself, () => make("li", { className: "quiet" }, text));

function tick() { // the times alone grow, in place
  for (const one of document.querySelectorAll("#touchpoints time")) {
    const said = ago(one.dateTime);
    if (one.textContent !== said) one.textContent = said;
  }
}

function showState(state, said) {
  const place = document.getElementById("live-state");
  if (place.dataset.state === state && place.textContent === said) return;
  place.dataset.state = state;
  place.textContent = said;
}

function showAlert(alert) {
  const over = alert.state === "resolved";
  const why = over ? `resolved: ${words(alert.resolution ?? "")}` : `${alert.state}, since ${new Date(alert.opened_at).toLocaleTimeString()}`;
  return freshly(alert.id, make("div", { className: "alert", data: { severity: alert.severity, state: alert.state } },
    make("strong", {}, `${SEVERE[alert.severity] ?? alert.severity}: ${alert.title}`), make("span", {}, why)));
}

function showTouchpoint(one) {
  const told = SOME.map((name) => one.properties[name]).filter((value) => ["string", "number"].includes(typeof value));
  const what = one.type === "page" ? `Page: ${one.event.replace(" · The demo shop", "")}` : one.type === "identify" ? "Said who they are" : one.event;
  return freshly(one.message_id, make("li", { data: { truth: one.moment_of_truth ? "yes" : "no" } },
    make("div", { className: "what" }, make("span", {}, what), clock(one.occurred_at)),
    make("div", { className: "quiet" }, [one.channel, one.stage, ...told.slice(0, 2)].filter(Boolean).join(" · "))));
}

function showPerson({ name, identifiers, count, band }) {
  return make("div", {},
    make("strong", {}, name ?? "Somebody new"),
    make("div", { className: "chips" }, identifiers.map((id) =>
      make("span", { className: "chip", title: id.value }, `${words(id.kind)} ${id.value}`))),
    make("p", { className: "quiet" }, `${count} ${count === 1 ? "touchpoint" : "touchpoints"} · risk ${words(band)}`));
}

function showJourney({ customer, touchpoints, alerts }) {
  if (!customer) {
    note("Nothing yet. Look at something in the shop.");
    return;
  }
  sync("alerts", alerts, (alert) => alert.id, showAlert);
  const { name, identifiers, touchpoint_count: count, risk } = customer;
  sync("who", [{ name, identifiers, count, band: risk.band }], () => customer.id, showPerson);
  const link = document.getElementById("in-console"), address = `${document.body.dataset.console}/customers/${encodeURIComponent(customer.id)}`;
  if (link.getAttribute("href") !== address) link.href = address;
  link.hidden = false;
  sync("stages", [...new Set(customer.stages.map((stage) => stage.stage))], itself, (stage) => make("li", {}, words(stage)));
  sync("orders", customer.orders.map(({ order_id, status }) => ({ order_id, status })), (order) => order.order_id, (order) =>
    make("li", {}, make("span", {}, `Order ${order.order_id}`), make("span", {}, words(order.status))));
  sync("touchpoints", touchpoints, (one) => one.message_id, showTouchpoint);
  tick();
}

async function askForJourney() {
  let pause = ASK_MS;
  try {
    const anonymousId = window.pathline?.anonymousId?.();
    if (!window.pathline?.version) {
      showState("stale", "collector away");
    } else if (!anonymousId) {
      showState("waiting", "not recorded");
      note("Your browser asks sites not to track you (Global Privacy Control), so our script sends nothing. Allow it for this page to see your journey.");
    } else if (!document.hidden) {
      const answer = await fetch(`/api/journey?anonymousId=${encodeURIComponent(anonymousId)}`, { signal: AbortSignal.timeout(8_000) });
      const told = await answer.json();
      if (told.code === "unknown_visitor") become(document.body.dataset.visitor);
      if (!told.success) throw new Error(told.code);
      showJourney(told);
      showState("live", "live");
    }
  } catch (problem) {
    pause = LATER_MS;
    showState("stale", `reconnecting (${problem.message})`.slice(0, 60));
  }
  setTimeout(askForJourney, pause);
}

askForJourney();
