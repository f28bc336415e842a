// Panels as their modules define them. `panels/table.js` imports the modules, and thereby gives the order.

/**
 * @typedef {object} Panel
 * @property {string} id the name of its folder and of its module, too
 * @property {string} title in English; labels the panel, and the button that opens a view
 * @property {boolean} past whether it follows the page into the past; otherwise its state and events are those of now
 * @property {string} [needs] the right without which it is hidden; default: `view`
 * @property {Shortcut[]} shortcuts may be empty; the first key is in the title of the button that opens a view
 * @property {(root: HTMLElement | null, context: Context) => Mounted} mount `root`: its element; a view has one
 * @property {Record<string, string>} [words] its texts: English to Japanese
 * @property {boolean} [view] false: it is part of the page itself; otherwise it is a view of the drawer
 * @property {string} [count] of a view: the part that displays a number in its button
 * @property {boolean} [listed] of a view: the server sends its list only while it is displayed
 *
 * @typedef {object} Shortcut
 * @property {string[]} keys
 * @property {string} [says] the line of the help dialog, in English
 * @property {string} [needs] the right without which it does nothing; default: that of its panel
 * @property {boolean} [inside] whether it works while the panel's own dialog is open, instead of outside of dialogs
 * @property {(self: any, context: Context) => unknown} [run] false: there was nothing to do. Default: opens the view
 *
 * Each method is optional. Of all panels: `start()`, `stop()` (the page is left), `hello(message)`, `link(change)`,
 * `access(me, why)` (the server has said who uses the page), `news(events)` (of now), `resume(restarted)`, `seen(is)`,
 * `stale(is)`, `arrange()`, `inPast(is)`. By `Panel.past`:
 * `state(message)`, `events(list)`, `reset()`. Of views: `enter()`, `leave()`, `needed()`.
 *
 * @typedef {Record<string, any>} Mounted
 *
 * @typedef {object} Context
 * @property {string} base the address of the page
 * @property {ReturnType<typeof import("./clock.js").createClock>} clock
 * @property {ReturnType<typeof import("./access.js").createAccess>} access
 * @property {ReturnType<typeof import("./layout.js").createLayout>} layout
 * @property {Record<string, Mounted>} panels
 * @property {Panel[]} table
 * @property {(method: string, ...values: any[]) => void} tell calls a method of all panels
 * @property {(method: string, ...values: any[]) => void} show calls a method of the panels that follow into the past
 */

/** @type {Panel[]} */
export const PANELS = [];

/** @param {Panel} panel */
export function definePanel(panel) {
  PANELS.push(panel);
  return panel;
}
