// The few words the panels share for touching the page.

export const $ = (name, root = document) => root.querySelector(`[data-part="${name}"]`);

// Every named part below `root`, once, as an object.
export function partsOf(root) {
  const parts = {};
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return parts;
}

export const stamp = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

// Writing only what differs keeps a tick per second free of layout work and of screen reader noise.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function set(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Moves what stands in the page without taking it out, where the browser can: a video that is taken out stands still.
export function place(parent, node, before = null) {
  if (parent.moveBefore && node.isConnected) return parent.moveBefore(node, before);
  parent.insertBefore(node, before);
  for (const video of node.querySelectorAll("video")) if (video.srcObject) video.play().catch(() => {});
}

// The marks are symbols in index.html.
export const mark = (use, name) => set(use, "href", `#icon-${name}`);

// Pairs a listener with its removal; `all` makes one teardown of many.
export function on(target, type, handler, options) {
  target.addEventListener(type, handler, options);
  return () => target.removeEventListener(type, handler, options);
}

export const all = (...teardowns) => () => teardowns.splice(0).forEach((teardown) => teardown());

export const isTyping = (node) => node instanceof Element && node.matches("input:not([type=range]), textarea, select, [contenteditable]");
