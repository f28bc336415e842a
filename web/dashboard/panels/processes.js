// The view of child processes: those that run, and those that ended a while ago.
import { $, on, say, set } from "../dom.js";
import { ago, clockTime, plural } from "../format.js";
import { t } from "../i18n.js";
import { createPoll } from "../poll.js";
import { createRows } from "../rows.js";
import { complaint } from "./complaint.js";
import { NOBODY, remember } from "./ended.js";
import { arrange, COLUMNS, counts, press } from "./process-order.js";

export function createProcesses({ base, clock }) {
  const note = $("process-note");
  const heads = new Map(COLUMNS.map((by) => [by, $(`by-${by}`)]));
  const drawRows = createRows($("process-rows"), { key: ({ id }) => id, create: row, fill });
  const drawCounts = createRows($("process-cameras"), { key: ([camera]) => camera, create: chip, fill: fillChip });
  const drawEnded = createRows($("ended-rows"), { key: ({ seq }) => seq, create: endedRow, fill: fillEnded });
  const poll = createPoll({ url: () => new URL("api/processes", base), take, fail: (error) => say(note, complaint(error)), clock, tick });
  let sort = { by: "age", down: true };
  let processes = [];
  let memory = NOBODY;

  for (const [by, head] of heads) {
    on(head, "click", () => {
      sort = press(sort, by);
      draw();
    });
  }

  function take(answer) {
    ({ processes } = answer);
    say(note, processes.length ? "" : t("No child process is running."));
    draw();
  }

  function draw() {
    for (const [by, head] of heads) {
      set(head.closest("th"), "aria-sort", sort.by !== by ? "none" : sort.down ? "descending" : "ascending");
    }
    say($("process-count"), String(processes.length));
    $("process-table").hidden = processes.length === 0;
    drawRows(arrange(processes, sort));
    drawCounts(counts(processes));
    tick();
  }

  function tick() {
    for (const node of $("process-rows").children) say(node.cells[5], ago(clock.now() - Date.parse(node.dataset.started)));
  }

  function showEnded() {
    drawEnded(memory.ended);
    $("ended").hidden = memory.ended.length === 0;
  }

  return {
    events(list) {
      if (!list.some(({ type }) => type.startsWith("Child"))) return;
      memory = remember(memory, list);
      showEnded();
      poll.hurry();
    },
    reset() {
      memory = NOBODY;
      showEnded();
    },
    past: (message) => poll.give(message),
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

// One line, or all of it.
function wordsButton() {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "words", title: t("Show all or one line") });
  set(button, "aria-expanded", false);
  on(button, "click", () => set(button, "aria-expanded", button.getAttribute("aria-expanded") === "false"));
  return button;
}

function fill(node, { camera, purpose, state, pid, parent, started, arguments: words }) {
  const values = [camera ?? "", purpose, state, pid ?? "", parent ?? "", null, null];
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
  if (words.length) node.append(lastWords(words));
  return node;
}

function lastWords(words) {
  const more = document.createElement("details");
  more.append(
    Object.assign(document.createElement("summary"), { textContent: t("its last {lines}", { lines: plural(words.length, "line") }) }),
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
