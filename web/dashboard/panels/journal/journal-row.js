// One event as a row that can be refilled with another event.
import { linkTo } from "../../address.js";
import { mark, partsOf, say, set, stamp } from "../../dom.js";
import { clockTime, fullTime } from "../../format.js";
import { t } from "../../i18n.js";

export function createRow() {
  const root = stamp("row-template");
  const row = { root, parts: partsOf(root), event: null, fill, expand };

  function fill(event) {
    row.event = event;
    const { parts } = row;
    const time = new Date(event.time);
    root.dataset.category = event.stream.split("/", 1)[0];
    root.dataset.severity = event.severity;
    root.dataset.seq = event.seq;
    root.classList.remove("found");
    say(parts.time, clockTime(time, { milliseconds: true }));
    set(parts.time, "datetime", event.time);
    set(parts.time, "title", fullTime(time));
    say(parts.type, event.type);
    say(parts.stream, event.stream);
    set(parts.stream, "title", event.stream);
    say(parts.severity, event.severity === "info" ? "" : `${t(event.severity)}: `);
    say(parts.text, event.text);
    mark(parts.mark, event.severity);
    expand(false);
    return row;
  }

  function expand(is) {
    const { head, more } = row.parts;
    set(head, "aria-expanded", is);
    more.hidden = !is;
    more.replaceChildren(...(is ? [details(row.event)] : []));
  }

  return row;
}

function details(event) {
  const node = stamp("more-template");
  const parts = partsOf(node);
  say(parts.seq, String(event.seq));
  say(parts.principal, event.principal ?? "");
  say(parts.cause, event.cause === null ? t("external") : `#${event.cause}`);
  if (event.cause !== null) set(parts.cause, "href", linkTo(`event-${event.cause}`));
  parts.cause.dataset.cause = event.cause ?? "";
  set(parts.moment, "href", linkTo(`at=${event.seq}`));
  say(parts.correlation, event.correlation ?? "");
  set(parts.correlation, "title", t("Show only events with this correlation"));
  say(parts.body, JSON.stringify(event.body, null, 2));
  return node;
}
