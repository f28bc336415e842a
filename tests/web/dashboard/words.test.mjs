import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

import { ago, fullTime, plural } from "../../../web/dashboard/format.js";
import { pick, setLanguage, t } from "../../../web/dashboard/i18n.js";
import { JA } from "../../../web/dashboard/lang/ja.js";
import { describe } from "../../../web/dashboard/panels/overlay.js";
import { SHORTCUTS } from "../../../web/dashboard/shortcuts.js";
import { STATES } from "../../../web/dashboard/timeline/states.js";

const FOLDER = new URL("../../../web/dashboard/", import.meta.url);
const scripts = readdirSync(FOLDER, { recursive: true }).filter((name) => name.endsWith(".js") && name !== "lang/ja.js");
const WORDS = /[A-Za-z]/;
const NAMES = new Set(["banken"]);

// What modules say: t("…"), n("…"), and words that are counted.
function said() {
  const found = new Set(SHORTCUTS.map(({ says }) => says));
  for (const name of scripts) {
    const text = readFileSync(new URL(name, FOLDER), "utf8");
    for (const [, words] of text.matchAll(/\b[tn]\("((?:[^"\\]|\\.)*)"/g)) found.add(words);
    for (const [, word] of text.matchAll(/plural\([^)]*"(\w+)"\)/g)) found.add(`{count} ${word}`).add(`{count} ${word}s`);
  }
  return found;
}

// What stands in the document, but for code, keys and what is marked as a name.
function written() {
  const page = readFileSync(new URL("index.html", FOLDER), "utf8").replace(/<!--.*?-->/gs, "");
  const found = new Set();
  for (const [, , value] of page.matchAll(/(aria-label|title|placeholder)="([^"]*)"/g)) found.add(plain(value));
  const body = page.replace(/<(code|pre|kbd|script|style|title)\b.*?<\/\1>/gs, "<>").replace(/<(\w+)[^>]*translate="no"[^>]*>.*?<\/\1>/gs, "<>");
  for (const [, text] of body.matchAll(/>([^<]+)/g)) found.add(plain(text.trim()));
  return [...found].filter((text) => WORDS.test(text) && !NAMES.has(text));
}

const plain = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

// What the server names by a word of its own.
const NAMED = [...STATES.map(([name]) => name), "snapshot", "ok", "degraded", "critical", "unknown", "info", "notice", "warning", "error"];

afterEach(() => setLanguage("en"));

test("everything the page says can be said in Japanese, and nothing is kept that it says no more", () => {
  const all = new Set([...said(), ...written(), ...NAMED]);
  assert.deepEqual([...all].filter((words) => !(words in JA)), []);
  assert.deepEqual(Object.keys(JA).filter((words) => !all.has(words)), []);
});

test("a translation has the same gaps to fill as the words it stands for", () => {
  const gaps = (text) => [...text.matchAll(/\{\w+\}/g)].map(([gap]) => gap).sort().join();
  for (const [words, translated] of Object.entries(JA)) assert.equal(gaps(translated), gaps(words), words);
});

test("times, numbers and overlays are said in the language that was chosen; what the server said stays", () => {
  assert.deepEqual([ago(5000), plural(2, "viewer"), t("no such words")], ["5 s", "2 viewers", "no such words"]);
  setLanguage("ja");
  assert.deepEqual([ago(5000), plural(2, "viewer"), t("no such words")], ["5 秒", "視聴 2", "no such words"]);
  assert.equal(t("{count} new", { count: 3 }), "新着 3");
  assert.ok(fullTime(new Date(0)).includes("1970年") || fullTime(new Date(0)).includes("1970/"));
  const reason = { code: "x", text: "connection refused", fault: "temporary" };
  const seen = { player: { name: "live", reason: null }, dueAt: null, paused: false, agreed: true, pictured: true, now: 0, localNow: 0 };
  const { title, detail } = describe({ ...seen, camera: { state: "waiting", reason, retry_at: null } });
  assert.deepEqual([title, detail], ["カメラを待っています", "Connection refused."]);
});

test("the first language that there is, of those wanted", () => {
  assert.deepEqual([["ja-JP"], ["fr", "ja", "en"], ["en-US", "ja"], ["fr"], []].map(pick), ["ja", "ja", "en", "en", "en"]);
});
