// The timeline as a table, for users who cannot see it. It is created only while it is unfolded.
import { $, say } from "../../dom.js";
import { clockDay, clockTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { NO_DATA } from "./chart.js";

export const MOST = 300;

const OF = { child: n("child {name} of {camera}"), peer: n("viewer {name} of {camera}") };

// The full name of a lane. Pure.
export const nameOf = ({ kind, name, camera }) => (kind === "camera" ? name : t(OF[kind], { name, camera }));

// Spans, marks and gaps in view, newest first: [time, lane, state or mark, event]. Pure.
export function rowsOf({ lanes, marks, gaps }, view) {
  const seen = ({ begin, end }) => end > view.from && begin < view.to;
  const spans = lanes.flatMap((lane) =>
    lane.spans.filter(seen).map((span) => [span.begin, nameOf(lane), t(span.state), span.text]),
  );
  const stood = marks
    .filter(({ at }) => at >= view.from && at <= view.to)
    .map(({ at, camera, kind, text }) => [at, camera ?? "", kind, text]);
  const unknown = gaps.filter(seen).map(({ begin, text }) => [begin, "", t(NO_DATA), text]);
  return [...spans, ...stood, ...unknown].sort((a, b) => b[0] - a[0]);
}

export function createTable() {
  const fold = $("timeline-table");
  return {
    give(data, view) {
      if (!fold.open || !view) return;
      const rows = rowsOf(data, view);
      say(
        $("timeline-table-note"),
        rows.length > MOST
          ? t("The newest {shown} of {all}; zoom in for the others.", { shown: MOST, all: rows.length })
          : "",
      );
      $("timeline-rows").replaceChildren(...rows.slice(0, MOST).map(row));
    },
  };
}

function row([at, ...texts]) {
  const node = document.createElement("tr");
  const date = new Date(at);
  for (const text of [`${clockDay(date)} ${clockTime(date, { milliseconds: true })}`, ...texts])
    node.insertCell().textContent = text;
  node.cells[node.cells.length - 1].lang = "en";
  return node;
}
