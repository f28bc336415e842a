// The dialog that lists the keys, made from the table that handles them.
import { $, on } from "../dom.js";
import { n, t } from "../i18n.js";
import { SHORTCUTS } from "../shortcuts.js";

const NAMES = { " ": n("space"), ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: n("esc"), Enter: n("enter") };

export function createHelp() {
  const dialog = $("help-dialog");
  $("help-list").append(...SHORTCUTS.map(line));
  const toggle = () => (dialog.open ? dialog.close() : dialog.showModal());
  on($("help"), "click", toggle);
  // A click beside the dialog's content lands on the dialog itself.
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  return { toggle };
}

function line({ keys, says }) {
  const row = document.createElement("div");
  const term = document.createElement("dt");
  for (const key of keys) term.append(Object.assign(document.createElement("kbd"), { textContent: t(NAMES[key] ?? key) }), " ");
  row.append(term, Object.assign(document.createElement("dd"), { textContent: t(says) }));
  return row;
}
