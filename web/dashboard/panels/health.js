// The verdict, and its reasons in a popover.
import { $, mark, say, set } from "../dom.js";
import { n, t } from "../i18n.js";

const TITLES = { ok: n("All is well"), degraded: n("Degraded"), critical: n("Critical") };
const RANK = { critical: 0, degraded: 1, ok: 2 };

export function createHealth() {
  const button = $("verdict");
  const list = $("health-parts");
  let shown = "";

  return {
    state({ health }) {
      const text = JSON.stringify(health);
      if (!health || text === shown) return;
      shown = text;
      set(button, "data-verdict", health.verdict);
      mark(button.querySelector("use"), health.verdict);
      say($("verdict-text"), t(health.verdict));
      say($("health-title"), t(TITLES[health.verdict] ?? health.verdict));
      const parts = [...(health.parts ?? [])].sort((a, b) => RANK[a.verdict] - RANK[b.verdict]);
      list.replaceChildren(...(parts.length ? parts.map(item) : [note()]));
    },
  };
}

function item({ part, verdict, reason }) {
  const row = document.createElement("li");
  row.dataset.verdict = verdict;
  const fields = { b: part, em: t(verdict), span: reason ?? "" };
  for (const [tag, text] of Object.entries(fields)) row.append(Object.assign(document.createElement(tag), { textContent: text }));
  return row;
}

function note() {
  return Object.assign(document.createElement("li"), { textContent: t("No part reports a problem.") });
}
