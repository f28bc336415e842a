import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

import { ago, clockMinute, clockTime, fullTime, lasted, plural, zonedTime, zoneOf } from "../../../web/dashboard/format.js";
import { learn, pick, setLanguage, t } from "../../../web/dashboard/i18n.js";
import { JA } from "../../../web/dashboard/lang/ja.js";
import { words } from "../../../web/dashboard/panels/past/moment.js";
import { describe } from "../../../web/dashboard/panels/wall/overlay.js";
import { PANELS } from "../../../web/dashboard/panels/table.js";
import { JA as SETUP } from "../../../web/dashboard/setup/setup.ja.js";
import { STATES } from "../../../web/dashboard/panels/timeline/chart.js";
import { stopTheClock } from "./world.mjs";

const FOLDER = new URL("../../../web/dashboard/", import.meta.url);
const files = readdirSync(FOLDER, { recursive: true });
const scripts = files.filter((name) => name.endsWith(".js") && !name.endsWith("ja.js"));
const documents = files.filter((name) => name.endsWith(".html"));
const DICTIONARIES = [JA, SETUP, ...PANELS.map(({ words }) => words)];
const ALL = Object.assign({}, ...DICTIONARIES);
PANELS.forEach(({ words }) => learn(words));
const WORDS = /[A-Za-z]/;
const NAMES = new Set(["banken"]);

// The texts of modules: t("…"), n("…"), and counted words.
function said(names) {
  const found = new Set();
  for (const name of names) {
    // A text that needs more than one line is put together by +.
    const text = readFileSync(new URL(name, FOLDER), "utf8").replace(/" \+\s+"/g, "");
    for (const [, words] of text.matchAll(/\b[tn]\(\s*"((?:[^"\\]|\\.)*)"/g)) found.add(words);
    for (const [, word] of text.matchAll(/plural\([^)]*"(\w+)"\)/g)) found.add(`{count} ${word}`).add(`{count} ${word}s`);
  }
  return found;
}

// The texts of documents, except code, keys and elements marked as a name.
function written(names) {
  const page = names.map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("").replace(/<!--.*?-->/gs, "");
  const found = new Set();
  for (const [, , value] of page.matchAll(/(aria-label|title|placeholder)="([^"]*)"/g)) found.add(plain(value));
  const body = page.replace(/<(code|pre|kbd|script|style|title)\b.*?<\/\1>/gs, "<>").replace(/<(\w+)[^>]*translate="no"[^>]*>.*?<\/\1>/gs, "<>");
  for (const [, text] of body.matchAll(/>([^<]+)/g)) found.add(plain(text.trim()));
  return [...found].filter((text) => WORDS.test(text) && !NAMES.has(text));
}

const plain = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

// Names that the server assigns.
const NAMED = [...STATES.map(([name]) => name), "snapshot", "ok", "degraded", "critical", "unknown", "info", "notice", "warning", "error"];

const HOME = process.env.TZ;
afterEach(() => {
  setLanguage("en");
  if (HOME === undefined) delete process.env.TZ;
  else process.env.TZ = HOME;
});

test("everything the page says can be said in Japanese, and nothing is kept that it says no more", () => {
  const all = new Set([...said(scripts), ...written(documents), ...NAMED]);
  assert.deepEqual([...all].filter((words) => !(words in ALL)), []);
  assert.deepEqual(Object.keys(ALL).filter((words) => !all.has(words)), []);
});

test("panels are defined in the order of the table", () => {
  const table = readFileSync(new URL("panels/table.js", FOLDER), "utf8");
  assert.deepEqual(PANELS.map(({ id }) => id), [...table.matchAll(/^import "\.\/(\w+)\//gm)].map(([, id]) => id));
});

test("a panel's words are beside it, each in one dictionary and used by that panel", () => {
  const keys = DICTIONARIES.flatMap((words) => Object.keys(words));
  assert.deepEqual(keys.filter((words, index) => keys.indexOf(words) !== index), []);
  for (const { id, words } of PANELS) {
    const own = (name) => name.startsWith(`panels/${id}/`);
    const used = new Set([...said(scripts.filter(own)), ...written(documents.filter(own))]);
    assert.deepEqual([id, ...Object.keys(words).filter((text) => !used.has(text))], [id]);
  }
});

test("a translation has the same gaps to fill as the words it stands for", () => {
  const gaps = (text) => [...text.matchAll(/\{\w+\}/g)].map(([gap]) => gap).sort().join();
  for (const [words, translated] of Object.entries(ALL)) assert.equal(gaps(translated), gaps(words), words);
});

test("the offset of a zone is written as people know it, also of half an hour and west of Greenwich", () => {
  const then = new Date("2026-01-05T06:51:40Z");
  for (const [zone, offset] of [["UTC", "UTC"], ["Europe/Berlin", "UTC+1"], ["Asia/Kolkata", "UTC+5:30"], ["America/St_Johns", "UTC-3:30"], ["Asia/Tokyo", "UTC+9"]]) {
    process.env.TZ = zone;
    assert.equal(zoneOf(then), offset);
  }
});

test("a time has the offset of the page's label or its own; a time in full always has it, in both languages", () => {
  process.env.TZ = "Europe/Berlin";
  const clock = stopTheClock("2026-11-30T10:00:00Z");
  try {
    const [winter, summer] = ["2026-01-05T06:51:40.250Z", "2026-07-05T05:51:40.250Z"].map((time) => new Date(time));
    assert.deepEqual([winter, summer].map((time) => clockTime(time)), ["07:51:40", "07:51:40 UTC+2"]);
    assert.equal(clockTime(summer, { milliseconds: true }), "07:51:40.250 UTC+2");
    assert.deepEqual([winter, summer].map(clockMinute), ["07:51", "07:51 UTC+2"]);
    assert.deepEqual([winter, summer].map(zonedTime), ["07:51:40 UTC+1", "07:51:40 UTC+2"]);
    assert.equal(words(winter.getTime()), "This is the past: 07:51:40 UTC+1 on 5 Jan");
  } finally {
    clock.start();
  }
});

test("times, numbers and overlays are said in the language that was chosen; what the server said stays", () => {
  assert.deepEqual([ago(5000), plural(2, "viewer"), t("no such words")], ["5 s", "2 viewers", "no such words"]);
  setLanguage("ja");
  assert.deepEqual([ago(5000), plural(2, "viewer"), t("no such words")], ["5 秒", "視聴 2", "no such words"]);
  assert.equal(t("{count} new", { count: 3 }), "新着 3");
  assert.deepEqual([lasted(130 * 60), words(Date.parse("2026-01-05T12:00:00Z")).startsWith("過去の表示：")], ["2 時間 10 分", true]);
  assert.match(words(Date.parse("2026-01-05T12:00:00Z")), / UTC/);
  assert.ok(fullTime(new Date(0)).includes("1970年") || fullTime(new Date(0)).includes("1970/"));
  assert.ok(fullTime(new Date(0)).endsWith(` ${zoneOf(new Date(0))}`));
  const reason = { code: "x", text: "connection refused", fault: "temporary" };
  const seen = { player: { name: "live", reason: null }, dueAt: null, paused: false, agreed: true, pictured: true, now: 0, localNow: 0 };
  const { title, detail, next, lang } = describe({ ...seen, camera: { state: "waiting", reason, retry_at: null } });
  assert.deepEqual([title, next], ["カメラを待っています", ALL["This usually passes by itself."]]);
  assert.deepEqual([detail, lang], ["Connection refused.", "en"], "as the journal and every command have it, and marked as English");
});

test("no module makes a time of day but the one that gives it its offset", () => {
  const wrong = scripts.filter((name) => name !== "format.js" && /getHours|toLocale\w*String|toTimeString|timeStyle/.test(readFileSync(new URL(name, FOLDER), "utf8")));
  assert.deepEqual(wrong, []);
});

test("the first language that there is, of those wanted", () => {
  assert.deepEqual([["ja-JP"], ["fr", "ja", "en"], ["en-US", "ja"], ["fr"], []].map(pick), ["ja", "ja", "en", "en", "en"]);
});
