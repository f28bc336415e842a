// The events of one camera, newest first: the latest ones of the journal, and new ones while the camera is displayed.
import { linkTo } from "../../address.js";
import { askJson } from "../../ask.js";
import { $, say, set } from "../../dom.js";
import { clockDay, clockTime, fullTime } from "../../format.js";
import { t } from "../../i18n.js";
import { matches } from "../journal/journal-filter.js";
import { createRows } from "../../rows.js";

export const KEPT = 50;

// The newest events of both lists, without duplicates, newest first. Pure.
export function merge(known, more) {
  const bySeq = new Map([...known, ...more].map((event) => [event.seq, event]));
  return [...bySeq.values()].sort((a, b) => b.seq - a.seq).slice(0, KEPT);
}

export function createHistory({ base }) {
  const list = $("large-history");
  const note = $("large-history-note");
  const draw = createRows(list, { key: ({ seq }) => seq, create: row, fill });
  let camera = null;
  let events = [];
  let asking = null;

  function show(more) {
    events = merge(events, more);
    draw(events);
    say(note, events.length ? "" : t("There are no events of this camera yet."));
  }

  return {
    // `before`: the moment that the page displays, as a sequence number; null for now.
    /** @param {string} id @param {any} before */
    async open(id, before = null) {
      this.close();
      camera = id;
      const mine = (asking = new AbortController());
      const query = new URLSearchParams({ camera: id, limit: String(KEPT) });
      if (before !== null) query.set("before", before);
      const answer = await askJson(new URL(`api/events?${query}`, base), { signal: mine.signal }).catch((error) => ({
        error,
      }));
      if (asking !== mine) return;
      if (answer.error) say(note, t("It could not be read: {reason}", { reason: answer.error.message }));
      else show(answer.events);
    },
    events(more) {
      const ours = more.filter((event) => camera !== null && matches(event, { words: [], camera }));
      if (ours.length) show(ours);
    },
    close() {
      asking?.abort();
      asking = camera = null;
      events = [];
      draw(events);
      say(note, "");
    },
  };
}

function row({ seq }) {
  const node = document.createElement("li");
  const link = Object.assign(document.createElement("a"), {
    href: linkTo(`at=${seq}`),
    title: t("Show the page as it was"),
  });
  link.append(document.createElement("time"), Object.assign(document.createElement("span"), { lang: "en" }));
  node.append(link);
  return node;
}

function fill(node, { time, text, severity }) {
  const [when, what] = node.firstElementChild.children;
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  say(when, today ? clockTime(date) : `${clockDay(date)} ${clockTime(date)}`);
  set(when, "title", fullTime(date));
  say(what, text);
  set(node, "data-severity", severity);
}
