// The fields of a role and its cameras, for users and for tokens.
import { ROLES } from "../../access.js";
import { on, partsOf, say, stamp } from "../../dom.js";
import { n, t } from "../../i18n.js";

const NOTES = {
  watcher: n("Watches cameras as they are now."),
  analyst: n("Reads what happened, and watches nothing."),
  operator: n("Watches, reads, and operates cameras and viewers."),
  admin: n("May do everything, on all cameras."),
  detector: n("Reports detections."),
  monitor: n("Reads health and measurements, for Prometheus for example."),
};
/** @type {any} */
const EVERYTHING = { everything: true, cameras: [], groups: [] };
const MOST = 4;
let forms = 0;

// The cameras of somebody in words. Pure.
export function scopeWords({ everything, cameras, groups }) {
  if (everything) return t("all cameras");
  const named = [...cameras, ...groups.map((group) => t("group {group}", { group }))];
  if (named.length > MOST) return t("{count} cameras and groups", { count: named.length });
  return named.join(", ") || t("no cameras");
}

// Names in an answer that nothing has, in words; empty for none. Pure.
export function unknownWords({ cameras, groups }) {
  const names = [...cameras, ...groups.map((group) => t("group {group}", { group }))].join(", ");
  return names && t("Not configured now: {names}.", { names });
}

// A list of names that somebody has typed. Pure.
export const namesOf = (text) => [
  ...new Set(
    text
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean),
  ),
];

// `roles`: those to choose from. → {root, show({role, scope}, cameras), value()}; `cameras`: [{id, title}] of now.
export function createFields(roles) {
  const root = stamp("access-template");
  const parts = partsOf(root);
  const { "field-role": role, "field-all": all, "field-some": some, "field-groups": groups } = parts;

  forms += 1;
  all.name = some.name = `scope-${forms}`;
  role.append(...roles.map((name) => new Option(t(ROLES[name]), name)));

  function draw() {
    say(parts["field-note"], t(NOTES[role.value]));
    parts["field-scope"].hidden = role.value === "admin";
    parts["field-these"].hidden = all.checked;
  }

  function box({ id, title }, checked) {
    const label = Object.assign(document.createElement("label"), { className: "check" });
    const input = Object.assign(document.createElement("input"), { type: "checkbox", value: id, checked });
    label.append(input, ` ${title}`);
    return label;
  }

  for (const field of [role, all, some]) on(field, "change", draw);

  return {
    root,
    show({ role: chosen, scope = EVERYTHING }, cameras) {
      const gone = scope.cameras.filter((id) => !cameras.some((camera) => camera.id === id));
      const listed = [...cameras, ...gone.map((id) => ({ id, title: id }))];
      role.value = chosen;
      all.checked = scope.everything;
      some.checked = !scope.everything;
      groups.value = scope.groups.join(", ");
      parts["field-cameras"].replaceChildren(...listed.map((each) => box(each, scope.cameras.includes(each.id))));
      draw();
    },
    // As the API takes it.
    value() {
      if (all.checked || role.value === "admin") return { role: role.value, everything: true };
      const chosen = [...parts["field-cameras"].querySelectorAll("input:checked")].map(({ value }) => value);
      return { role: role.value, cameras: chosen, groups: namesOf(groups.value) };
    },
  };
}
