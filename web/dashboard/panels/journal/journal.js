// The journal pane: newest first, at most LIMIT rows; beyond that the oldest row is reused.
import { $, on, say } from "../../dom.js";
import { createFilter } from "./journal-filter.js";
import { createFollow } from "./follow.js";
import { createRow } from "./journal-row.js";
import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./journal.ja.js";

export const LIMIT = 500;

// `onCamera(id)` receives the camera that the filter is set to, or null.
export function createJournal({ onCamera }) {
  const list = $("rows");
  const note = $("rows-note");
  let rows = []; // newest last
  const bySeq = new Map();

  const filter = createFilter({ onChange: refilter, onCamera });
  const follow = createFollow({ rows: list, limit: LIMIT, show });

  function show(events) {
    const fragment = [];
    for (const event of events.slice(-LIMIT)) fragment.unshift(place(event).root);
    list.prepend(...fragment);
    tally();
  }

  function place(event) {
    const row = rows.length < LIMIT ? createRow() : rows.shift();
    if (row.event) bySeq.delete(row.event.seq);
    // The user's focus must not travel to the top with a recycled element.
    const { activeElement: focused } = document;
    if (focused instanceof HTMLElement && row.root.contains(focused)) focused.blur();
    rows.push(row.fill(event));
    bySeq.set(event.seq, row);
    row.root.hidden = !filter.matches(event);
    row.parts.head.tabIndex = -1;
    return row;
  }

  function refilter() {
    for (const row of rows) row.root.hidden = !filter.matches(row.event);
    tally();
  }

  function tally() {
    const shown = rows.reduce((count, row) => count + !row.root.hidden, 0);
    say($("shown"), filter.isSet() ? t("{shown} of {all}", { shown, all: rows.length }) : "");
    note.hidden = shown > 0;
    say(note, rows.length ? t("No event matches the filter.") : t("Waiting for the first event."));
    const first = rows.findLast((row) => !row.root.hidden);
    if (first && !list.querySelector('.row:not([hidden]) [tabindex="0"].row-head')) first.parts.head.tabIndex = 0;
  }

  function reveal(seq) {
    const row = bySeq.get(seq);
    if (!row) return false;
    follow.hold();
    row.root.hidden = false;
    row.expand(true);
    focus(row);
    row.root.scrollIntoView({ block: "center" });
    row.root.classList.remove("found");
    void row.root.offsetWidth; // restarts the highlight when the event is found twice
    row.root.classList.add("found");
    return true;
  }

  function focus(row) {
    for (const node of list.querySelectorAll('.row-head[tabindex="0"]')) node.tabIndex = -1;
    row.parts.head.tabIndex = 0;
    row.parts.head.focus({ preventScroll: true });
    row.root.scrollIntoView({ block: "nearest" });
  }

  on(list, "click", (event) => {
    const { target } = event;
    const row = bySeq.get(Number(target.closest(".row")?.dataset.seq));
    const cause = target.closest("[data-cause]")?.dataset.cause;
    if (cause) {
      event.preventDefault();
      if (!reveal(Number(cause))) say(target, t("#{cause} is older than this list", { cause }));
    } else if (target.closest(".linkish")) filter.type(row.event.correlation);
    else if (target.closest(".row-head")) {
      row.expand(row.parts.more.hidden);
      focus(row);
    }
  });

  const STEPS = {
    ArrowDown: "nextElementSibling",
    j: "nextElementSibling",
    ArrowUp: "previousElementSibling",
    k: "previousElementSibling",
  };
  on(list, "keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.target.closest("pre")) return;
    event.preventDefault();
    let node = event.target.closest(".row")?.[step];
    while (node?.hidden) node = node[step];
    if (node) focus(bySeq.get(Number(node.dataset.seq)));
  });

  return {
    events: follow.take,
    toggleFollow: follow.toggle,
    stale: follow.stale,
    reveal,
    filter,
    // A second time: every camera again.
    select: (id) => filter.setCamera(filter.camera() === id ? null : id),
    reset() {
      list.replaceChildren();
      rows = [];
      bySeq.clear();
      follow.reset();
      tally();
    },
  };
}

export const panel = definePanel({
  id: "journal",
  needs: "read",
  title: n("Journal"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [
    { keys: ["/"], says: n("filter the journal"), run: (journal) => journal.filter.focus() },
    { keys: ["l"], says: n("follow or hold the journal"), run: (journal) => journal.toggleFollow() },
  ],
  mount: (_root, { panels }) => createJournal({ onCamera: (id) => panels.wall.selected(id) }),
});
