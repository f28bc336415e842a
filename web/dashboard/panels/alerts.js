// What somebody should look at, across the page, for as long as it holds.
import { $, mark, say, stamp } from "../dom.js";
import { createRows } from "../rows.js";

const PREFIX = "alert/";

// The alerts among the parts of health: [{name, text}]. Pure.
export const alertsOf = (health) =>
  (health?.parts ?? [])
    .filter(({ part }) => part.startsWith(PREFIX))
    .map(({ part, reason }) => ({ name: part.slice(PREFIX.length), text: reason }));

export function createAlerts() {
  const strip = $("alerts");
  const draw = createRows(strip, { key: ({ name }) => name, create, fill });

  return {
    state({ health }) {
      const alerts = alertsOf(health);
      draw(alerts);
      strip.hidden = alerts.length === 0;
    },
  };
}

function create() {
  const node = stamp("alert-template");
  mark(node.querySelector("use"), "warning");
  return node;
}

function fill(node, { name, text }) {
  say($("alert-text", node), text);
  say($("alert-name", node), name);
}
