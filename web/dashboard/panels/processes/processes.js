// The view of child processes: running ones, and recently ended ones. While banken is away, those that were running.
import { $, on, say, set } from "../../dom.js";
import { about } from "../../events.js";
import { ago, clockTime, plural, stateWords } from "../../format.js";
import { n, t } from "../../i18n.js";
import { UNKNOWN } from "../past/view.js";
import { createPoll } from "../../poll.js";
import { createRows } from "../../rows.js";
import { complaint, noAnswer } from "../../complaint.js";
import { NOBODY, remember } from "./ended.js";
import { arrange, COLUMNS, counts, press } from "./process-order.js";
import { definePanel } from "../../panel.js";
import { JA } from "./processes.ja.js";

// `order()` → the camera ids in their order.
export function createProcesses({ base, clock, order }) {
  const note = $("process-note");
  const heads = new Map(COLUMNS.map((by) => [by, $(`by-${by}`)]));
  const drawRows = createRows($("process-rows"), {
    key: ({ id }) => id,
    create: row,
    fill: (node, one) => fill(node, one, clock.isSilent()),
  });
  const drawCounts = createRows($("process-cameras"), { key: ([camera]) => camera, create: chip, fill: fillChip });
  const drawEnded = createRows($("ended-rows"), { key: ({ seq }) => seq, create: endedRow, fill: fillEnded });
  const poll = createPoll({
    url: () => new URL("api/processes", base),
    take,
    fail: (error) => say(note, complaint(error)),
    clock,
    tick,
  });
  let sort = { by: "age", down: true };
  let processes = null; // until the first answer
  let unknown = false;
  let memory = NOBODY;

  for (const [by, head] of heads) {
    on(head, "click", () => {
      sort = press(sort, by);
      draw();
    });
  }

  function take(answer) {
    processes = answer.processes;
    unknown = Boolean(answer.unknown);
    draw();
  }

  function draw() {
    for (const [by, head] of heads) {
      set(head.closest("th"), "aria-sort", sort.by !== by ? "none" : sort.down ? "descending" : "ascending");
    }
    if (!processes) return say(note, clock.isSilent() ? noAnswer() : t("Requesting…"));
    say(note, processes.length ? "" : nobody());
    say($("process-count"), unknown || clock.isSilent() ? "–" : String(processes.length));
    $("process-table").hidden = processes.length === 0;
    drawRows(arrange(processes, sort));
    drawCounts(counts(processes, order()));
    tick();
  }

  const nobody = () =>
    unknown ? t(UNKNOWN) : clock.isSilent() ? t("No child process was running.") : t("No child process is running.");

  function tick() {
    for (const node of $("process-rows").children)
      say(node.cells[5], ago(clock.now() - Date.parse(node.dataset.started)));
  }

  function showEnded() {
    drawEnded(memory.ended);
    $("ended").hidden = memory.ended.length === 0;
  }

  clock.onSilence(draw);

  return {
    events(list) {
      if (!list.some(({ type }) => about(type).entity === "child")) return;
      memory = remember(memory, list);
      showEnded();
      poll.hurry();
    },
    reset() {
      memory = NOBODY;
      showEnded();
    },
    // A moment of the past brings its list; now is asked for.
    state: (message) => message.processes && poll.give(message),
    inPast: (is) => is || poll.give(null),
    enter: poll.start,
    leave: poll.stop,
  };
}

function row() {
  const node = document.createElement("tr");
  for (const by of COLUMNS) set(node.insertCell(), "data-column", by);
  node.cells[6].append(wordsButton());
  return node;
}

// Switches between one line and the complete text.
function wordsButton() {
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    className: "words",
    title: t("Show all or one line"),
  });
  set(button, "aria-expanded", false);
  on(button, "click", () => set(button, "aria-expanded", button.getAttribute("aria-expanded") === "false"));
  return button;
}

function fill(node, { camera, purpose, cpu, state, pid, parent, started, arguments: words }, was) {
  const cost = typeof cpu === "number" ? `${purpose} · CPU ${Math.round(100 * cpu)} %` : purpose;
  const values = [camera ?? "", cost, was ? stateWords(state, was) : state, pid ?? "", parent ?? "", null, null];
  values.forEach((value, index) => value !== null && say(node.cells[index], String(value)));
  set(node, "data-state", state);
  set(node, "data-started", started);
  set(node.cells[5], "title", t("started {time}", { time: started }));
  say(node.cells[6].firstElementChild, words.join(" "));
}

const chip = () => document.createElement("li");

const fillChip = (node, [camera, count]) => say(node, `${camera || "banken"} ${count}`);

function endedRow({ words }) {
  const node = document.createElement("li");
  for (const name of ["time", "camera", "what", "how", "why"]) {
    node.append(Object.assign(document.createElement("span"), { className: `ended-${name}` }));
  }
  /** @type {HTMLElement} */ (node.lastElementChild).lang = "en";
  if (words.length) node.append(lastWords(words));
  return node;
}

function lastWords(words) {
  const more = document.createElement("details");
  more.append(
    Object.assign(document.createElement("summary"), {
      textContent: t("its last {lines}", { lines: plural(words.length, "line") }),
    }),
    Object.assign(document.createElement("pre"), { textContent: words.join("\n"), tabIndex: 0 }),
  );
  return more;
}

function fillEnded(node, { time, camera, purpose, pid, how, why, troubled }) {
  const what = [purpose, pid && `pid ${pid}`].filter(Boolean).join(", ");
  const texts = [clockTime(new Date(time)), camera, what, how, why];
  texts.forEach((text, index) => say(node.children[index], text));
  node.toggleAttribute("data-troubled", troubled);
}

export const panel = definePanel({
  id: "processes",
  needs: "inspect",
  title: n("Processes"),
  past: true,
  words: JA,
  count: "process-count",
  shortcuts: [{ keys: ["p"], says: n("processes") }],
  mount: (_root, { base, clock, panels }) => createProcesses({ base, clock, order: () => panels.wall.ids() }),
});
