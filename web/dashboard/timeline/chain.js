// Why: the events that led to one, the first cause on top, with the time between each and the next.
import { $, on, say, set } from "../dom.js";
import { clockTime, plural } from "../format.js";

// 0.3 s, 12 s, 4 min. Pure.
export function between(seconds) {
  if (seconds < 0.01) return "at once";
  if (seconds < 10) return `${seconds.toFixed(seconds < 0.1 ? 2 : 1)} s later`;
  if (seconds < 120) return `${Math.round(seconds)} s later`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min later` : `${(seconds / 3600).toFixed(1)} h later`;
}

// `reveal(seq)` shows an event in the journal pane; false where the pane does not have it.
export function createChain({ base, reveal }) {
  const pane = $("timeline-chain");
  const list = $("timeline-steps");
  const note = $("timeline-chain-note");
  let round = 0;

  async function show(seq) {
    const mine = (round += 1);
    pane.hidden = false;
    say($("timeline-chain-title"), `What led to #${seq}`);
    const answer = await read(seq).catch((error) => ({ steps: [], error }));
    if (mine !== round) return;
    list.replaceChildren(...answer.steps.map(item));
    say(note, answer.error?.message ?? (answer.cut ? `What came before, #${answer.cut}, is not in the journal any more.` : ""));
    pane.scrollIntoView({ block: "nearest" });
  }

  async function read(seq) {
    const response = await fetch(new URL(`api/why/${seq}`, base));
    const body = await response.json();
    if (!response.ok) throw new Error(body.detail);
    return body;
  }

  on(list, "click", (event) => {
    const seq = event.target.closest("[data-event]")?.dataset.event;
    if (!seq) return;
    event.preventDefault();
    say(note, reveal(Number(seq)) ? "" : `#${seq} is not among the rows of the journal pane; “as it was then” brings it there.`);
  });
  on($("timeline-chain-close"), "click", () => {
    round += 1;
    pane.hidden = true;
    $("timeline-canvas").focus();
  });

  return { show };
}

function item({ seq, time, type, text, severity, stderr, after_s: seconds }, index) {
  const node = document.createElement("li");
  set(node, "data-severity", severity);
  const add = (tag, className, textContent) => node.appendChild(Object.assign(document.createElement(tag), { className, textContent }));
  add("span", "step-time", clockTime(new Date(time), { milliseconds: true }));
  add("span", "step-after", index ? between(seconds) : "first");
  const row = add("a", "step-row", `#${seq} ${type}`);
  set(row, "href", `#event-${seq}`);
  set(row, "data-event", seq);
  set(row, "title", "Show it in the journal");
  const then = add("a", "step-moment", "as it was then");
  set(then, "href", `#timeline&at=${seq}`);
  set(then, "aria-label", `Show the page as it was after #${seq}`);
  add("span", "step-text", text);
  if (stderr.length) {
    add("details", "", "").append(
      Object.assign(document.createElement("summary"), { textContent: `its last ${plural(stderr.length, "line")}` }),
      Object.assign(document.createElement("pre"), { textContent: stderr.join("\n"), tabIndex: 0 }),
    );
  }
  return node;
}
