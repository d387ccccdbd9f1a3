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
const clock = (when) => make("time", { dateTime: when, title: new Date(when).toLocaleString() }, ago(when));
const freshly = (id, element) => {
  if (!shown.has(id)) element.classList.add("new");
  shown.add(id);
  return element;
};
const put = (id, ...children) => document.getElementById(id).replaceChildren(...children.flat());
const words = (text) => String(text).replaceAll("_", " ");

function showState(state, said) {
  const place = document.getElementById("live-state");
  if (place.dataset.state === state && place.textContent === said) return;
  place.dataset.state = state;
  place.textContent = said;
}

function showAlert(alert) {
  const over = alert.state === "resolved";
  const why = over ? `resolved: ${words(alert.resolution ?? "")}` : `${alert.state}, since ${ago(alert.opened_at)}`;
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

function showJourney({ customer, touchpoints, alerts }) {
  if (!customer) {
    put("touchpoints", make("li", { className: "quiet" }, "Nothing yet. Look at something in the shop."));
    return;
  }
  const address = `${document.body.dataset.console}/customers/${encodeURIComponent(customer.id)}`;
  put("alerts", alerts.map(showAlert));
  put("who",
    make("strong", {}, customer.name ?? "Somebody new"),
    make("div", { className: "chips" }, customer.identifiers.map((id) =>
      make("span", { className: "chip", title: id.value }, `${words(id.kind)} ${id.value}`))),
    make("p", { className: "quiet" }, `${customer.touchpoint_count} ${customer.touchpoint_count === 1 ? "touchpoint" : "touchpoints"} · risk ${words(customer.risk.band)} · `,
      make("a", { href: address, target: "_blank", rel: "noopener", id: "in-console" }, "open in the console")));
  put("stages", [...new Set(customer.stages.map((stage) => stage.stage))].map((stage) => make("li", {}, words(stage))));
  put("orders", customer.orders.map((order) => make("li", {}, make("span", {}, `Order ${order.order_id}`), make("span", {}, words(order.status)))));
  put("touchpoints", touchpoints.map(showTouchpoint));
}

async function askForJourney() {
  let pause = ASK_MS;
  try {
    const anonymousId = window.pathline?.anonymousId?.();
    if (!window.pathline?.version) {
      showState("stale", "collector away");
    } else if (!anonymousId) {
      showState("waiting", "not recorded");
      put("touchpoints", make("li", { className: "quiet" },
        "Your browser asks sites not to track you (Global Privacy Control), so our script sends nothing. Allow it for this page to see your journey."));
    } else if (!document.hidden) {
      const answer = await fetch(`/api/journey?anonymousId=${encodeURIComponent(anonymousId)}`, { signal: AbortSignal.timeout(8_000) });
      const told = await answer.json();
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
