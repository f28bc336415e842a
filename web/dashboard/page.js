// The frame: mounts the panels of the table, and passes calls on to them. Rules of this file:
// 1. A panel reaches another one through `context.panels`, and only after all are mounted.
// 2. A panel has the methods that it needs (see `Mounted` in panel.js); a call passes over the others.
// 3. A panel whose element index.html does not place is a view of the drawer.
// 4. An element that needs a right names it (`data-needs`), and is hidden without it.
// 5. A panel of a part that is off is not in the table. An element that serves another panel names it (`data-of`), and
//    is hidden without it.
import { set } from "./dom.js";
import { createDrawer } from "./drawer.js";
import { t } from "./i18n.js";
import { createLayout } from "./layout.js";
import { attachShortcuts } from "./shortcuts.js";
import { createSplitters } from "./splitters.js";

/**
 * `request(view, is)`: asks the server for the list of a view, or no longer.
 *
 * @param {import("./panel.js").Panel[]} table
 */
export function mountPanels(table, { base, clock, access, request }) {
  /** @type {Record<string, import("./panel.js").Mounted>} */
  const panels = {};

  const call =
    (wanted) =>
    (method, ...values) => {
      for (const panel of table) if (wanted(panel)) panels[panel.id]?.[method]?.(...values);
    };
  const tell = call(() => true);
  const layout = createLayout({
    onChange(now) {
      splitters.draw(now);
      tell("arrange");
    },
  });
  const splitters = createSplitters(layout);
  const views = table.filter(({ view = true }) => view);
  const drawer = createDrawer({ views, panels, request });
  const context = { base, clock, access, layout, panels, table, tell, show: call(({ past }) => past) };

  for (const panel of table) panels[panel.id] = panel.mount(elementOf(panel), context);
  hideWithout(panels);
  splitters.draw(layout.now());
  attachShortcuts({ context, drawer });
  return { panels, tell, now: call(({ past }) => !past), drawer };
}

function hideWithout(panels) {
  /** @type {NodeListOf<HTMLElement>} */
  const nodes = document.querySelectorAll("[data-of]");
  for (const node of nodes) node.hidden = !panels[node.dataset.of ?? ""];
}

/** @param {import("./panel.js").Panel} panel @returns {HTMLElement | null} */
function elementOf({ id, title, needs }) {
  /** @type {HTMLElement | null} */
  const root = document.querySelector(`[data-panel="${id}"]`);
  for (const node of root?.querySelectorAll("[data-title]") ?? []) node.textContent = t(title);
  if (root && title && !root.hasAttribute("aria-label") && !root.hasAttribute("aria-labelledby"))
    root.ariaLabel = t(title);
  if (root && needs) set(root, "data-needs", needs);
  return root;
}
