// A fake document for the page's modules in Node: one node for each part that the HTML of the page names. It has no layout, and
// only the functions that the modules under test use.
import { readdirSync, readFileSync } from "node:fs";

const FOLDER = new URL("../../../web/dashboard/", import.meta.url);
const HTML = readdirSync(FOLDER, { recursive: true }).filter((name) => name.endsWith(".html")).map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("");
const namesIn = (text) => [...text.matchAll(/data-part="([^"]+)"/g)].map(([, name]) => name);
const camel = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());

class Node extends EventTarget {
  attributes = new Map();
  hidden = false;
  disabled = false;
  textContent = "";
  open = false;
  width = 0;
  height = 0;
  videoWidth = 0;
  naturalWidth = 0;
  srcObject = null;
  children = [];
  options = [];
  style = { setProperty() {} };
  constructor(parts = []) {
    super();
    this.parts = parts;
    this.dataset = new Proxy({}, {
      get: (_, name) => [...this.attributes].find(([key]) => camel(key.replace(/^data-/, "")) === name)?.[1],
      set: (_, name, value) => (this.setAttribute(`data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value), true),
    });
  }
  get src() {
    return this.getAttribute("src");
  }
  getAttribute = (name) => this.attributes.get(name) ?? null;
  hasAttribute = (name) => this.attributes.has(name);
  setAttribute = (name, value) => void this.attributes.set(name, String(value));
  removeAttribute = (name) => void this.attributes.delete(name);
  toggleAttribute(name, is) {
    if (is) this.setAttribute(name, "");
    else this.removeAttribute(name);
  }
  closest = () => this;
  querySelectorAll = () => this.parts;
  querySelector = (selector) => this.parts.find(({ dataset }) => selector === `[data-part="${dataset.part}"]`) ?? new Node();
  press = () => this.dispatchEvent(new Event("click"));
  showModal = () => void (this.open = true);
  close = () => void (this.open = false);
  append() {}
  replaceChildren() {}
  remove() {}
  focus() {}
  pause() {}
  load() {}
  play = () => Promise.resolve();
}

const partsOf = (text) => namesIn(text).map((name) => {
  const node = new Node();
  node.dataset.part = name;
  return node;
});

// Replaces document, window, location and history until the test ends. → {part(name), address()}
export function openDocument(hash = "") {
  const parts = partsOf(HTML.replace(/<template.*?<\/template>/gs, ""));
  const all = new Node(parts);
  for (const node of parts) node.parts = parts;
  const location = { hash, pathname: "/", search: "", href: "http://127.0.0.1/" };
  const template = (id) => {
    const text = HTML.match(new RegExp(`<template id="${id}">(.*?)</template>`, "s"))[1];
    return { content: { firstElementChild: { cloneNode: () => new Node(partsOf(text)) } } };
  };
  Object.assign(globalThis, {
    location,
    document: Object.assign(all, { documentElement: new Node(), getElementById: template, createElement: () => new Node() }),
    window: new EventTarget(),
    history: { replaceState: (state, title, to) => (location.hash = to.startsWith("#") ? to : "") },
    matchMedia: () => new EventTarget(),
  });
  return {
    part: (name) => all.querySelector(`[data-part="${name}"]`),
    address: () => location.hash,
    stale: (is) => document.documentElement.toggleAttribute("data-stale", is),
  };
}
