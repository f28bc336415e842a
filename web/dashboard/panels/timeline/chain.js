// The causes of an event: the chain that led to it, first cause on top, with the time between each and the next.
import { linkTo } from "../../address.js";
import { askJson } from "../../ask.js";
import { $, on, say, set } from "../../dom.js";
import { clockTime, plural } from "../../format.js";
import { t } from "../../i18n.js";

// 0.3 s, 12 s, 4 min. Pure.
export function between(seconds) {
  if (seconds < 0.01) return t("at once");
  if (seconds < 10) return t("{seconds} s later", { seconds: seconds.toFixed(seconds < 0.1 ? 2 : 1) });
  if (seconds < 120) return t("{seconds} s later", { seconds: Math.round(seconds) });
  return seconds < 7200
    ? t("{minutes} min later", { minutes: Math.round(seconds / 60) })
    : t("{hours} h later", { hours: (seconds / 3600).toFixed(1) });
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
    say($("timeline-chain-title"), t("Causes of #{seq}", { seq }));
    const answer = await read(seq).catch((error) => ({ steps: [], error }));
    if (mine !== round) return;
    list.replaceChildren(...answer.steps.map(item));
    say(
      note,
      answer.error?.message ??
        (answer.cut ? t("The preceding event, #{seq}, is no longer in the journal.", { seq: answer.cut }) : ""),
    );
    pane.scrollIntoView({ block: "nearest" });
  }

  const read = (seq) => askJson(new URL(`api/why/${seq}`, base));

  on(list, "click", (event) => {
    const seq = event.target.closest("[data-event]")?.dataset.event;
    if (!seq) return;
    event.preventDefault();
    say(
      note,
      reveal(Number(seq))
        ? ""
        : t("#{seq} is not among the rows of the journal pane; “show that moment” brings it there.", { seq }),
    );
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
  const add = (tag, className, textContent) =>
    node.appendChild(Object.assign(document.createElement(tag), { className, textContent }));
  add("span", "step-time", clockTime(new Date(time), { milliseconds: true }));
  add("span", "step-after", index ? between(seconds) : t("first"));
  const row = add("a", "step-row", `#${seq} ${type}`);
  set(row, "href", linkTo(`event-${seq}`));
  set(row, "data-event", seq);
  set(row, "title", t("Show it in the journal"));
  const then = add("a", "step-moment", t("show that moment"));
  set(then, "href", linkTo(`timeline&at=${seq}`));
  set(then, "aria-label", t("Show the page as it was after #{seq}", { seq }));
  add("span", "step-text", text).lang = "en";
  if (stderr.length) {
    add("details", "", "").append(
      Object.assign(document.createElement("summary"), {
        textContent: t("its last {lines}", { lines: plural(stderr.length, "line") }),
      }),
      Object.assign(document.createElement("pre"), { textContent: stderr.join("\n"), tabIndex: 0 }),
    );
  }
  return node;
}
