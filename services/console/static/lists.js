// Live lists: what changed is put into its row, what is new comes in where it belongs, and nothing moves under a hand.
"use strict";
const lists = (() => {
  const BUSY_MS = 4000; // so long after a hand has touched the list, new rows wait
  const HOVER_MS = 8000; // and so long while a pointer rests on it
  const SCROLLED_PX = 120;
  const MOST_ROWS = 500;
  const MOST_IDS = 1000;
  let touchedAt = -Infinity;
  const waiting = new Map(); // row id -> row

  const key = (row) => row.dataset.key ?? "";
  const keyed = (list) => [...list.children].filter((row) => row.dataset.key);
  const busy = (list) => {
    if (list.id !== "alerts") return false;
    const rest = list.matches(":hover") ? HOVER_MS : BUSY_MS;
    return performance.now() - touchedAt < rest || window.scrollY > SCROLLED_PX;
  };

  // What a person has opened stays open, and what was fetched for it stays there, when the page is written anew.
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeAttributeUpdated: (name) => name !== "open",
    beforeNodeMorphed: (old) => !(old instanceof Element && old.matches(".raw:has(dl)")),
  });

  function insert(list, row) {
    const rows = keyed(list);
    const after = rows.find((other) => key(other) < key(row));
    const more = list.querySelector(":scope > .more");
    if (!after && more && rows.length) return; // older than what is shown: the button finds it
    list.insertBefore(row, after ?? more);
    row.classList.add("fresh");
    htmx.process(row);
    trim(list);
  }

  function trim(list) {
    const rows = keyed(list);
    if (rows.length <= MOST_ROWS || list.id !== "alerts") return;
    rows.slice(MOST_ROWS).forEach((row) => row.remove());
    const last = key(keyed(list).at(-1));
    const query = new URLSearchParams(list.dataset.query);
    query.set("cursor", btoa(last).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, ""));
    let more = list.querySelector(":scope > .more");
    if (!more) {
      more = document.createElement("li");
      more.className = "more";
      more.innerHTML = '<button class="button" type="button" hx-target="closest li" hx-swap="outerHTML">More</button>';
      list.append(more);
    }
    more.firstElementChild.setAttribute("hx-get", `/inbox/more?${query}`);
    htmx.process(more);
  }

  function tell() {
    const button = document.getElementById("waiting");
    if (!button) return;
    button.hidden = waiting.size === 0;
    button.querySelector(".text").textContent = `${waiting.size} new`;
  }

  function release() {
    const list = document.getElementById("alerts");
    const rows = [...waiting.values()];
    waiting.clear();
    rows.forEach((row) => document.getElementById(row.id) || insert(list, row));
    tell();
    times.refresh(list);
  }

  function merge(list, fragment) {
    const rows = [...fragment.children].filter((row) => row.dataset.key);
    for (const row of rows) {
      const shown = document.getElementById(row.id);
      if (shown && list.contains(shown)) {
        if (Number(row.dataset.revision ?? 1) >= Number(shown.dataset.revision ?? 0)) {
          Idiomorph.morph(shown, row.cloneNode(true), { morphStyle: "outerHTML" });
          htmx.process(document.getElementById(row.id));
        }
      } else if (row.dataset.matches === "no") {
        waiting.delete(row.id);
      } else if (busy(list)) {
        waiting.set(row.id, row);
      } else {
        waiting.delete(row.id);
        insert(list, row);
      }
    }
    tell();
    times.refresh(list);
  }

  htmx.defineExtension("merge", {
    isInlineSwap: (style) => style === "merge",
    handleSwap(style, target, fragment) {
      if (style !== "merge") return false;
      const given = fragment.id === target.id ? fragment : fragment.querySelector?.(`#${target.id}`);
      merge(target, given ?? fragment);
      return [target];
    },
  });

  const touched = (event) => {
    if (event.target instanceof Element && event.target.closest("#alerts")) touchedAt = performance.now();
  };
  for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) {
    document.addEventListener(name, touched, { passive: true });
  }
  setInterval(() => {
    const list = document.getElementById("alerts");
    if (waiting.size && list && !busy(list)) release();
  }, 1000);
  document.getElementById("waiting")?.addEventListener("click", () => {
    release();
    window.scrollTo({ top: 0 });
  });

  // The alerts that are shown or wait to be, the newest.
  function ids() {
    const list = document.getElementById("alerts");
    return [...waiting.values(), ...keyed(list)].slice(0, MOST_IDS).map((row) => row.dataset.alert);
  }

  return { release, ids };
})();
