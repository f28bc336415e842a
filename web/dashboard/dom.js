// The small set of DOM functions that the panels share.

/** @type {(name: string, root?: ParentNode) => any} */
export const $ = (name, root = document) => root.querySelector(`[data-part="${name}"]`);

// Every named part below `root`, once, as an object.
export function partsOf(root) {
  /** @type {Record<string, any>} */
  const parts = {};
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return parts;
}

/** @type {(id: string) => any} */
export const stamp = (id) => templateOf(id).content.firstElementChild?.cloneNode(true);

const templateOf = (id) => /** @type {HTMLTemplateElement} */ (document.getElementById(id));

// Writes only differences, so that a tick per second causes no layout work and no screen reader noise.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function set(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Moves an element of the page without removing it, where the browser can: a removed video stops.
export function place(parent, node, before = null) {
  if (parent.moveBefore && node.isConnected) return parent.moveBefore(node, before);
  parent.insertBefore(node, before);
  for (const video of node.querySelectorAll("video")) if (video.srcObject) video.play().catch(() => {});
}

// The marks are symbols in index.html.
export const mark = (use, name) => set(use, "href", `#icon-${name}`);

// The context in which a canvas is drawn.
/** @type {(canvas: HTMLCanvasElement, options?: CanvasRenderingContext2DSettings) => CanvasRenderingContext2D} */
export const penOf = (canvas, options) => /** @type {any} */ (canvas.getContext("2d", options));

// Adds a listener and returns the function that removes it; `all` combines several into one teardown.
export function on(target, type, handler, options) {
  target.addEventListener(type, handler, options);
  return () => target.removeEventListener(type, handler, options);
}

export const all =
  (...teardowns) =>
  () =>
    teardowns.splice(0).forEach((teardown) => teardown());

export const isTyping = (node) =>
  node instanceof Element && node.matches("input:not([type=range]), textarea, select, [contenteditable]");
