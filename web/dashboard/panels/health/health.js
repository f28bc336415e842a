// The verdict, and its reasons in a popover; while banken is away, the last ones.
// A moment without a daemon has no verdict.
import { $, mark, say, set } from "../../dom.js";
import { n, t } from "../../i18n.js";
import { UNKNOWN } from "../past/view.js";
import { definePanel } from "../../panel.js";
import { JA } from "./health.ja.js";

const TITLES = {
  ok: n("All is well"),
  degraded: n("Degraded"),
  critical: n("Critical"),
  unknown: n("Nothing is known"),
};
const RANK = { critical: 0, degraded: 1, ok: 2 };

export function createHealth() {
  const button = $("verdict");
  const list = $("health-parts");
  let shown = "";
  let last = null;
  let stale = false;

  function draw() {
    const unknown = stale && last.seq === undefined;
    const text = JSON.stringify([last.health, unknown]);
    if (!last.health || text === shown) return;
    shown = text;
    const { verdict } = last.health;
    set(button, "data-verdict", unknown ? "unknown" : verdict);
    mark(button.querySelector("use"), unknown ? "idle" : verdict);
    say($("verdict-text"), t(unknown ? "unknown" : verdict));
    say($("health-title"), unknown ? t("Last known state") : t(TITLES[verdict] ?? verdict));
    const parts = [...(last.health.parts ?? [])].sort((a, b) => RANK[a.verdict] - RANK[b.verdict]);
    list.replaceChildren(
      ...(parts.length
        ? parts.map(item)
        : [note(verdict === "unknown" ? t(UNKNOWN) : t("No part reports a problem."))]),
    );
  }

  return {
    state({ health, seq }) {
      last = { health, seq };
      draw();
    },
    stale(is) {
      stale = is;
      if (last) draw();
    },
  };
}

function item({ part, verdict, reason }) {
  const row = document.createElement("li");
  row.dataset.verdict = verdict;
  const fields = { b: part, em: t(verdict), span: reason ?? "" };
  for (const [tag, text] of Object.entries(fields))
    row.append(
      Object.assign(document.createElement(tag), { textContent: text, ...(tag === "span" && { lang: "en" }) }),
    );
  return row;
}

function note(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

export const panel = definePanel({
  id: "health",
  title: n("Health"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [],
  mount: () => createHealth(),
});
