// The page in English or Japanese. Rules of this file:
// 1. The English words are the key: the code stays readable, and what is missing is shown in English.
// 2. The language is chosen before anything is drawn and stays until the page is loaded anew.
// 3. What the server says (reasons, events) is the journal's, and stays as it was written.
import { JA } from "./lang/ja.js";
import { recall, remember } from "./storage.js";

export const LANGUAGES = { en: "English", ja: "日本語" };
const KEY = "banken.language";
const ATTRIBUTES = ["aria-label", "title", "placeholder"];

let language = "en";

// Remembered, else the browser's; null where nobody has chosen.
export const chosenLanguage = () => recall(localStorage, KEY);
export const chooseLanguage = (value) => remember(localStorage, KEY, value);

// The first of the languages wanted that there is. Pure.
export const pick = (wanted) => wanted.map((tag) => tag.toLowerCase().split("-", 1)[0]).find((tag) => tag in LANGUAGES) ?? "en";

export function setLanguage(value) {
  language = value;
}

export const currentLanguage = () => language;

// `t("{count} new", {count})`
export function t(text, values = null) {
  const found = (language === "ja" && JA[text]) || text;
  return values === null ? found : found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// Marks words that are translated where they are used.
export const n = (text) => text;

// The words that stand in the document, once, before the parts are made. Code and what is marked `translate=no` stays.
export function translate(root) {
  if (language === "en") return;
  const inside = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = inside.nextNode(); node; node = inside.nextNode()) {
    if (node instanceof HTMLTemplateElement) translate(node.content);
    else if (node instanceof Element) translateAttributes(node);
    else if (node.data.trim() && !node.parentElement?.closest("code, script, style, kbd, [translate=no]")) node.data = around(node.data);
  }
}

function translateAttributes(node) {
  for (const name of ATTRIBUTES) if (node.hasAttribute(name)) node.setAttribute(name, t(node.getAttribute(name)));
}

// Keeps the spaces round the words.
const around = (text) => text.replace(/\S(?:.*\S)?/s, (words) => t(words));
