// The page in English or Japanese. Rules of this file:
// 1. The English text is the key: the code stays readable, and a missing translation is displayed in English.
// 2. The language is chosen before anything is drawn, and stays until the page is reloaded.
// 3. Text from the server (reasons, events) belongs to the journal and is not translated.
import { JA } from "./lang/ja.js";
import { recall, remember } from "./storage.js";

export const LANGUAGES = { en: "English", ja: "日本語" };
const KEY = "banken.language";
const ATTRIBUTES = ["aria-label", "title", "placeholder"];

let language = "en";
const japanese = { ...JA };

// The remembered language; null where no choice was made.
export const chosenLanguage = () => recall(localStorage, KEY);
export const chooseLanguage = (value) => remember(localStorage, KEY, value);

// The first of the wanted languages that is available. Pure.
export const pick = (wanted) =>
  wanted.map((tag) => tag.toLowerCase().split("-", 1)[0]).find((tag) => tag in LANGUAGES) ?? "en";

export function setLanguage(value) {
  language = value;
}

export const currentLanguage = () => language;

/**
 * `t("{count} new", {count})`
 *
 * @param {string} text @param {Record<string, any> | null} values
 * @returns {string}
 */
export function t(text, values = null) {
  const found = (language === "ja" && japanese[text]) || text;
  return values === null ? found : found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// Adds the Japanese words of a panel.
export const learn = (words) => void Object.assign(japanese, words);

// The page in the language of the user, once, before anything is drawn.
export function speak(dictionaries) {
  dictionaries.forEach(learn);
  setLanguage(pick([chosenLanguage() ?? navigator.languages].flat()));
  document.documentElement.lang = currentLanguage();
  translate(document.documentElement);
  delete document.documentElement.dataset.unspoken;
}

// Marks text that is translated where it is used.
export const n = (text) => text;

// Translates the text of the document, once, before the parts are created. Skips code and elements with `translate=no`.
export function translate(root) {
  if (language === "en") return;
  const inside = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = inside.nextNode(); node; node = inside.nextNode()) {
    if (node instanceof HTMLTemplateElement) translate(node.content);
    else if (node instanceof Element) translateAttributes(node);
    else if (
      node instanceof Text &&
      node.data.trim() &&
      !node.parentElement?.closest("code, script, style, kbd, [translate=no]")
    )
      node.data = around(node.data);
  }
}

function translateAttributes(node) {
  for (const name of ATTRIBUTES) if (node.hasAttribute(name)) node.setAttribute(name, t(node.getAttribute(name)));
}

// Keeps the spaces around the text.
const around = (text) => text.replace(/\S(?:.*\S)?/s, (words) => t(words));
