// The pane below the wall: one view at a time, each with an address of its own (#processes). A view is entered when it
// is shown and left when it is not, or when the page is.
import { read, write } from "../address.js";
import { $, on, set } from "../dom.js";

// `views`: name → {enter(), leave()}.
export function createDrawer(views) {
  const drawer = $("drawer");
  const closing = $("drawer-close");
  let open = null;

  const opener = (name) => $(`open-${name}`, drawer);
  const panel = (name) => document.getElementById(`view-${name}`);

  function show(name) {
    if (name === open) return;
    if (open !== null) {
      views[open].leave();
      panel(open).hidden = true;
      set(opener(open), "aria-expanded", false);
    }
    open = name;
    closing.hidden = open === null;
    if (open === null) return;
    panel(open).hidden = false;
    set(opener(open), "aria-expanded", true);
    views[open].enter();
  }

  function choose(name) {
    show(name === open ? null : name);
    write({ view: open });
  }

  function route() {
    const name = read().view ?? "";
    if (Object.hasOwn(views, name)) show(name);
  }

  function close() {
    if (open === null) return false;
    const last = opener(open);
    const inside = drawer.contains(document.activeElement);
    choose(open);
    if (inside) last.focus();
    return true;
  }

  for (const name of Object.keys(views)) on(opener(name), "click", () => choose(name));
  on(closing, "click", close);
  on(window, "hashchange", route);

  return {
    toggle(name) {
      choose(name);
      if (open !== null) opener(open).focus();
    },
    close,
    start: () => (open === null ? route() : views[open].enter()),
    leave: () => open !== null && views[open].leave(),
  };
}
