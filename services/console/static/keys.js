// Hands: keys, dialogs, the lines at the edge of the page, and where the eye was before something was written anew.
"use strict";
(() => {
  const TOAST_MS = 5000;
  const MOST_TOASTS = 5;
  const MORNING = 9;
  let lastRow = null; // the row that had the focus last
  let firstRow = null; // the inbox's first when nobody has been in a row yet: a new alert does not take its place
  let snoozing = null;

  // -- rows ---------------------------------------------------------------------------------------------------------

  const rows = () => [...document.querySelectorAll(".alerts > .alert")];
  const linkOf = (row) => row?.querySelector("a.open");
  const rowOf = (element) => (element instanceof Element ? element.closest(".alerts > .alert") : null);
  const current = () => rowOf(document.activeElement) ?? (lastRow && document.getElementById(lastRow));

  // The row that keys act on: the current one, and before there is one the inbox's first.
  function chosen() {
    const row = current();
    if (row) return row;
    const first = document.getElementById(firstRow) ?? document.querySelector("#alerts > .alert");
    firstRow = first?.id ?? null;
    return first;
  }

  function mark() {
    const row = chosen();
    for (const one of rows()) one.toggleAttribute("data-chosen", one === row);
  }

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const place = all.indexOf(current());
    const begin = by > 0 ? Math.max(0, all.indexOf(chosen())) : all.length - 1;
    const next = place < 0 ? begin : Math.min(Math.max(place + by, 0), all.length - 1);
    linkOf(all[next]).focus({ preventScroll: true });
    all[next].scrollIntoView({ block: "nearest" });
  }

  function act(name) {
    const place = document.querySelector("article[data-alert]") ?? chosen();
    if (place?.matches(".resolved, .expired")) toast("This alert is over.", "done");
    else place?.querySelector(`[data-act=${name}]`)?.click();
  }

  // A note that is being written is not left behind by the key that ends the alert.
  function resolve() {
    const note = document.getElementById("note");
    if (!note?.value.trim()) {
      act("resolve");
      return;
    }
    note.focus();
    toast("A note is not sent yet.");
  }

  document.addEventListener("focusin", ({ target }) => {
    const row = rowOf(target);
    if (row) lastRow = row.id;
    mark();
  });
  mark();
  for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap"]) {
    document.addEventListener(name, () => {
      const row = lastRow && document.getElementById(lastRow);
      if (row && document.activeElement === document.body && !document.querySelector("dialog[open]")) {
        linkOf(row)?.focus({ preventScroll: true });
      }
      mark();
    });
  }

  // -- dialogs ------------------------------------------------------------------------------------------------------

  function open(id) {
    document.getElementById("person")?.removeAttribute("open");
    document.getElementById(id)?.showModal();
  }

  function until({ hours, days }) {
    const at = new Date();
    if (hours) at.setTime(at.getTime() + Number(hours) * 3600 * 1000);
    else {
      at.setDate(at.getDate() + Number(days));
      at.setHours(MORNING, 0, 0, 0);
    }
    return at.toISOString();
  }

  function snooze(at) {
    document.getElementById("snooze-dialog").close();
    const { post, from } = snoozing.dataset;
    const target = snoozing.closest("[data-alert]");
    htmx.ajax("POST", post, {
      source: target,
      target,
      swap: "morph:outerHTML",
      values: { until: at, from },
    }).catch(() => {}); // a toast has said why
  }

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const button = target?.closest("button");
    if (button?.dataset.open) open(button.dataset.open);
    else if (button?.dataset.act === "snooze") {
      snoozing = button;
      open("snooze-dialog");
    } else if (button?.closest("#snooze-dialog .choices")) snooze(until(button.dataset));
    else if (target?.matches(".toast")) target.remove();
    else if (target?.closest("[data-row]")) show(target.closest("[data-row]").dataset.row);
    const menu = document.getElementById("person");
    if (menu?.open && !menu.contains(target)) menu.removeAttribute("open");
  });

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "snooze-date") return;
    event.preventDefault();
    // What was typed is in the reader's own zone.
    snooze(new Date(document.getElementById("snooze-until").value).toISOString());
  });

  // A mark of the timeline leads to its row in the list.
  function show(id) {
    const row = document.getElementById(`t-${id}`) ?? document.getElementById(`a-${id}`);
    if (!row) return;
    row.querySelector("details")?.setAttribute("open", "");
    row.scrollIntoView({ block: "center" });
    row.querySelector("summary, a.open")?.focus({ preventScroll: true });
  }

  // -- lines at the edge --------------------------------------------------------------------------------------------

  function toast(text, kind = "wrong") {
    const wrong = kind === "wrong";
    const place = document.getElementById("toasts");
    const line = document.createElement("p");
    line.className = `toast ${wrong ? "wrong" : "done"}`;
    line.setAttribute("role", wrong ? "alert" : "status");
    line.textContent = text;
    place.append(line);
    while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
    setTimeout(() => line.remove(), wrong ? 3 * TOAST_MS : TOAST_MS);
  }

  // The server's own lines come in a header; htmx makes an event of it.
  document.addEventListener("toast", ({ detail }) => toast(detail.text, detail.kind));
  document.addEventListener("htmx:sendError", ({ detail }) => {
    if (detail.elt.id !== "live") toast("Pathline could not be reached. Nothing was changed; try again.");
  });
  document.addEventListener("htmx:timeout", ({ detail }) => {
    if (detail.elt.id !== "live") toast("Pathline did not answer in time. Look before you try again.");
  });
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const type = detail.xhr.getResponseHeader("content-type") ?? "";
    if (type.startsWith("text/html")) return;
    detail.shouldSwap = false;
    if (detail.isError) toast(JSON.parse(detail.xhr.responseText || "{}").message ?? `Error ${detail.xhr.status}`);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.elt.matches("form[data-clear]")) detail.elt.reset();
    if (detail.successful && detail.elt.closest?.("#person")) document.getElementById("person").removeAttribute("open");
  });

  // -- keys ---------------------------------------------------------------------------------------------------------

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    a: () => act("claim"),
    e: resolve,
    s: () => act("snooze"),
    n: () => document.getElementById("note")?.focus(),
    g: () => location.assign("/"),
    m: () => location.assign("/map"),
    "/": () => document.getElementById("search")?.focus(),
    "?": () => open("keys-dialog"),
    Enter: () => linkOf(chosen())?.click(),
    ".": () => document.getElementById("waiting")?.click(),
  };

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (key === "Escape") {
      document.getElementById("person")?.removeAttribute("open");
      if (target.matches?.("input, textarea")) target.blur();
      return;
    }
    if (key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat && target.matches?.("textarea")) {
      event.preventDefault();
      target.form.requestSubmit();
      return;
    }
    const typing = target.matches?.("input, textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(key)) return;
    if (document.querySelector("dialog[open]") || !Object.hasOwn(keys, key)) return;
    if (key === "Enter" && target !== document.body) return; // what has the focus takes it
    event.preventDefault();
    keys[key]();
  });
})();
