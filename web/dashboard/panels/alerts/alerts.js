// The alerts, across the page, for as long as they are raised.
import { $, mark, say, stamp } from "../../dom.js";
import { plural } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { JA } from "./alerts.ja.js";

const PREFIX = "alert/";

// The alerts among the parts of health: [{name, text}]. Pure.
export const alertsOf = (health) =>
  (health?.parts ?? [])
    .filter(({ part }) => part.startsWith(PREFIX))
    .map(({ part, reason }) => ({ name: part.slice(PREFIX.length), text: reason }));

// A refused configuration, which only a valid one clears: its consequence, then its lines. Pure.
export function complaintsOf(refused) {
  if (!refused) return [];
  const { origin, lines, more } = refused;
  const first = t(
    "{origin} was changed and cannot be used; the configuration before it stays in use. Correct it, then reload it.",
    { origin },
  );
  const texts = [first, ...lines, ...(more ? [t("and {problems} more", { problems: plural(more, "problem") })] : [])];
  return texts.map((text, index) => ({ key: `configuration ${index}`, name: index ? "" : t("configuration"), text }));
}

// Alerts come first, one line each: the lines of a configuration may need more room than the strip has. Pure.
export const stripOf = (health, refused) => [...alertsOf(health), ...complaintsOf(refused)];

export function createAlerts({ strip }) {
  const draw = createRows(strip, { key: ({ key, name }) => key ?? name, create, fill });

  return {
    state({ health, refused }) {
      const alerts = stripOf(health, refused);
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

export const panel = definePanel({
  id: "alerts",
  title: n("Alerts"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root) => createAlerts({ strip: root }),
});
