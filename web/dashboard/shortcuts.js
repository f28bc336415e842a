// The keyboard. Each panel declares its keys; while its dialog is open, only those keys work that it declares for that.
import { may } from "./access.js";
import { isTyping, on } from "./dom.js";
import { n } from "./i18n.js";

// Keys that a focused control needs.
const OWN = new Set(["Enter", " "]);

// Of the frame, not of a panel.
const ESCAPE = { keys: ["Escape"], says: n("close what is open") };

/**
 * The rows of the help dialog, in the order of the table.
 *
 * @param {import("./panel.js").Panel[]} table
 */
export const rowsOf = (table) => [
  ...table.flatMap(({ needs, shortcuts }) =>
    shortcuts.filter(({ says }) => says).map((shortcut) => ({ needs, ...shortcut })),
  ),
  ESCAPE,
];

export function attachShortcuts({ context, drawer }) {
  const { table, panels } = context;
  const outside = new Map([
    ["Escape", () => !document.querySelector(":popover-open") && (panels.arranging.cancel() || drawer.close())],
  ]);
  /** @type {Map<string, Map<string, () => unknown>>} */
  const inside = new Map();

  for (const { id, needs: wanted = "view", shortcuts } of table) {
    for (const { keys, inside: own = false, needs = wanted, run = () => drawer.toggle(id) } of shortcuts) {
      const map = own ? (inside.get(id) ?? new Map()) : outside;
      if (own) inside.set(id, map);
      for (const key of keys) map.set(key, () => may(needs) && run(panels[id], context));
    }
  }

  return on(document, "keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    if (isTyping(target) && key !== "Escape") return;
    /** @type {NodeListOf<HTMLElement>} */
    const dialogs = document.querySelectorAll("dialog[open]");
    if (OWN.has(key) && target.closest?.("button, a, summary, pre")) return;
    const map =
      dialogs.length === 0 ? outside : dialogs.length === 1 ? inside.get(dialogs[0].dataset.panel ?? "") : null;
    const act = map?.get(key);
    // An action that returns false had nothing to do; then the key keeps its usual meaning.
    if (act && act() !== false) event.preventDefault();
  });
}
