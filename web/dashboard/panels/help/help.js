// The dialog that lists the keys, made from the table that handles them.
import { $, on, set } from "../../dom.js";
import { n, t } from "../../i18n.js";
import { rowsOf } from "../../shortcuts.js";
import { definePanel } from "../../panel.js";
import { JA } from "./help.ja.js";

const NAMES = {
  " ": n("space"),
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: n("esc"),
  Enter: n("enter"),
};

export function createHelp({ dialog, rows }) {
  $("help-list").append(...rows.map(line));
  const toggle = () => (dialog.open ? dialog.close() : dialog.showModal());
  on($("help"), "click", toggle);
  // A click outside the dialog's content has the dialog as its target.
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  return { toggle };
}

function line({ keys, says, needs = null }) {
  const row = document.createElement("div");
  set(row, "data-needs", needs);
  const term = document.createElement("dt");
  for (const key of keys)
    term.append(Object.assign(document.createElement("kbd"), { textContent: t(NAMES[key] ?? key) }), " ");
  row.append(term, Object.assign(document.createElement("dd"), { textContent: t(says) }));
  return row;
}

export const panel = definePanel({
  id: "help",
  title: n("Keyboard"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [{ keys: ["?"], says: n("this list"), run: (help) => help.toggle() }],
  mount: (root, { table }) => createHelp({ dialog: root, rows: rowsOf(table) }),
});
