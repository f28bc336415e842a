import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { changeOf, createAccess, isOut, lacking, learnAccess, may, RIGHTS } from "../../../web/dashboard/access.js";
import { ask, onUnauthorized, Refusal, Silence } from "../../../web/dashboard/ask.js";
import { passwordProblem, problemOf } from "../../../web/dashboard/forms.js";
import { browserOf } from "../../../web/dashboard/panels/account/browser.js";
import { namesOf, scopeWords } from "../../../web/dashboard/panels/users/fields.js";
import { openDocument } from "./page.mjs";
import { serve, settle } from "./world.mjs";

const OPEN = { user: null, role: null, rights: ["none", ...RIGHTS], scope: { everything: true }, login: false };
const OUT = { user: null, role: null, rights: ["none"], scope: { everything: false }, login: true };
const BEN = { ...OPEN, user: "ben", role: "watcher", rights: ["inspect", "none", "room", "share", "view", "watch"], login: true };

function storage() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
}

function open(first) {
  openDocument();
  globalThis.sessionStorage = storage();
  const seen = [];
  const reloads = [];
  const access = createAccess({ url: "http://127.0.0.1/api/session", early: Promise.resolve(first), reload: () => reloads.push(1), onKnown: (...all) => seen.push(all) });
  return { access, seen, reloads, why: () => sessionStorage.getItem("banken.access") };
}

let server = null;
afterEach(() => {
  server?.close();
  server = null;
  openDocument();
  learnAccess(OPEN);
});

test("without users everybody may do everything; with users, whoever has not logged in may do nothing", () => {
  assert.deepEqual([OPEN, OUT, BEN].map(isOut), [false, true, false]);
  assert.deepEqual([OPEN, OUT, BEN].map(lacking), [[], RIGHTS, ["read", "review", "operate", "administer"]]);
});

test("a change of access differs from the same access in another order", () => {
  assert.equal(changeOf(BEN, { ...BEN, rights: [...BEN.rights].reverse(), until: "2027-01-01T00:00:00Z" }), null);
  assert.equal(changeOf(BEN, { ...BEN, rights: ["none", "view"] }), "changed");
  assert.equal(changeOf(BEN, { ...BEN, scope: { everything: false } }), "changed");
  assert.deepEqual([changeOf(BEN, OUT), changeOf(OPEN, OUT)], ["ended", "first"]);
});

test("the page shows nothing before a login, and the document says which rights are missing", async () => {
  const { access, seen } = open(OUT);
  assert.equal(await access.entered(), false);
  assert.deepEqual([document.documentElement.hasAttribute("data-out"), seen], [true, [[OUT, null]]]);
  server = serve(() => ({ body: BEN }));
  assert.equal(await access.enter(), true);
  assert.deepEqual([may("watch"), may("operate"), document.documentElement.getAttribute("data-lacks")], [true, false, "read review operate administer"]);
});

test("a server that does not answer, or knows no sessions, changes nothing", async () => {
  const { access, reloads } = open(null);
  assert.deepEqual([await access.entered(), may("administer")], [true, true]);
  server = serve(() => ({ status: 500 }));
  await access.check();
  assert.equal(reloads.length, 0);
});

test("a session that has ended is left once, with its reason, and an expected end with that of the page", async () => {
  const { access, reloads, why } = open(BEN);
  await access.entered();
  server = serve(() => ({ body: OUT }));
  await Promise.all([access.check(), access.check()]);
  await access.check();
  assert.deepEqual([reloads.length, why(), server.asked.length], [1, "ended", 1]);
  const other = open(BEN);
  await other.access.entered();
  other.access.expect("left");
  await other.access.check();
  assert.equal(other.why(), "left");
});

test("the reason is said once", async () => {
  const { access, seen } = open(OUT);
  sessionStorage.setItem("banken.access", "ended");
  await access.entered();
  assert.deepEqual([seen[0][1], sessionStorage.getItem("banken.access")], ["ended", null]);
});

test("any answer 401 is heard", async () => {
  let heard = 0;
  onUnauthorized(() => (heard += 1));
  server = serve(() => ({ status: 401 }));
  await assert.rejects(ask("http://127.0.0.1/api/devices"), Refusal);
  await settle();
  onUnauthorized(() => {});
  assert.deepEqual([heard, server.asked.length], [1, 1]);
});

test("a failed login is explained in the words of the page, and other refusals in those of the server", () => {
  const refused = (status, type, more) => problemOf(new Refusal(status, "the server's words", { problem: { type }, ...more }), "The name or the password is wrong.");
  assert.equal(refused(403, "urn:banken:problem:forbidden"), "The name or the password is wrong.");
  assert.equal(refused(429, "urn:banken:problem:rate-limited", { retryAfter: 28 }), "Too many tries. Try again in 28 s.");
  assert.equal(refused(403, "about:blank"), "the server's words");
  assert.equal(problemOf(new Silence("banken does not answer")), "banken does not answer");
});

test("a browser is named by its product and system, and an unknown one by the beginning of what it says", () => {
  const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36";
  assert.equal(browserOf(chrome), "Chrome 128, Linux");
  assert.equal(browserOf(`${chrome} Edg/128.0`), "Edge 128, Linux");
  assert.equal(browserOf("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1"), "Safari 17, iPhone");
  assert.equal(browserOf("Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0"), "Firefox 130, Windows");
  assert.deepEqual([browserOf(""), browserOf("x".repeat(500)).length], ["–", 60]);
});

test("a scope is named in words, and typed groups are names without repetitions", () => {
  const scope = (cameras, groups = []) => scopeWords({ everything: false, cameras, groups });
  assert.equal(scopeWords({ everything: true, cameras: [], groups: [] }), "all cameras");
  assert.deepEqual([scope([]), scope(["gate"], ["yard"])], ["no cameras", "gate, group yard"]);
  assert.equal(scope(["a", "b", "c", "d"], ["yard"]), "5 cameras and groups");
  assert.deepEqual(namesOf(" yard, hall,,yard "), ["yard", "hall"]);
});

test("a password that is too short is refused before it is sent", () => {
  assert.deepEqual([passwordProblem("1234567"), passwordProblem("12345678")], ["A password has at least 8 characters.", ""]);
});
