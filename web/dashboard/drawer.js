// The pane below the wall: one view at a time, each with an address (#processes). A view is entered when it is
// displayed, and left when it is not or when the page is left.
import { may } from "./access.js";
import { read, write } from "./address.js";
import { $, on, set, stamp } from "./dom.js";
import { t } from "./i18n.js";

// `views`: the panels that are views; `panels`: id → {enter(), leave(), needed()}, each of them optional.
// `request(name, is)`: a list that the server sends while a view is displayed, and for as long as it is needed.
export function createDrawer({ views, panels, request }) {
  const drawer = $("drawer");
  const closing = $("drawer-close");
  const openers = new Map();
  const roots = new Map();
  let open = null;

  for (const view of views) {
    const { id } = view;
    roots.set(id, document.getElementById(`view-${id}`) ?? drawer.appendChild(emptyView(view)));
    openers.set(id, openerOf(view));
    closing.before(openers.get(id));
    on(openers.get(id), "click", () => choose(id));
  }

  function enter() {
    if (listed(open)) request(open, true);
    panels[open].enter?.();
  }

  function leave() {
    panels[open].leave?.();
    if (listed(open)) request(open, Boolean(panels[open].needed?.()));
  }

  const viewOf = (name) => views.find(({ id }) => id === name);
  const listed = (name) => viewOf(name).listed;
  const neededBy = (name) => viewOf(name).needs ?? "view";

  function show(name) {
    if (name === open || (name !== null && !may(neededBy(name)))) return;
    if (open !== null) {
      leave();
      roots.get(open).hidden = true;
      set(openers.get(open), "aria-expanded", false);
    }
    open = name;
    closing.hidden = open === null;
    if (open === null) return;
    roots.get(open).hidden = false;
    set(openers.get(open), "aria-expanded", true);
    enter();
  }

  function choose(name) {
    show(name === open ? null : name);
    write({ view: open });
  }

  function route() {
    const name = read().view ?? "";
    if (openers.has(name)) show(name);
  }

  function close() {
    if (open === null) return false;
    const last = openers.get(open);
    const inside = drawer.contains(document.activeElement);
    choose(open);
    if (inside) last.focus();
    return true;
  }

  on(closing, "click", close);
  on(window, "hashchange", route);

  return {
    toggle(name) {
      choose(name);
      if (open !== null) openers.get(open).focus();
    },
    close,
    start: () => (open === null ? route() : enter()),
    stop: () => open !== null && leave(),
  };
}

// The title, with the first key if there is one. Pure.
export const hintOf = (title, [first]) => (first ? `${title} (${first.keys[0]})` : title);

function openerOf({ id, title, shortcuts, count = null, needs = null }) {
  const button = stamp("opener-template");
  set(button, "data-part", `open-${id}`);
  set(button, "data-needs", needs);
  set(button, "aria-controls", `view-${id}`);
  set(button, "title", hintOf(t(title), shortcuts));
  button.append(t(title));
  if (count === null) return button;
  const number = Object.assign(document.createElement("span"), { className: "quiet" });
  set(number, "data-part", count);
  button.append(" ", number);
  return button;
}

function emptyView({ id, title, needs = null }) {
  const root = Object.assign(document.createElement("div"), {
    id: `view-${id}`,
    className: "view",
    tabIndex: 0,
    hidden: true,
  });
  set(root, "role", "region");
  set(root, "data-panel", id);
  set(root, "data-needs", needs);
  set(root, "aria-label", t(title));
  return root;
}
