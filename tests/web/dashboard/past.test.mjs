import assert from "node:assert/strict";
import { test } from "node:test";

import { format, parse } from "../../../web/dashboard/address.js";
import { createLatest } from "../../../web/dashboard/panels/past/latest.js";
import { createPast } from "../../../web/dashboard/panels/past/past.js";
import { added, advance, formatMoment, MOST_STEPS, parseMoment, queryOf, reach } from "../../../web/dashboard/panels/past/moment.js";
import { pastView, unknownOf } from "../../../web/dashboard/panels/past/view.js";
import { serve, stopTheClock } from "./world.mjs";

test("the address names a view, a moment, a camera, or none of them, and what is formed from it is the same again", () => {
  for (const [hash, view, at, camera = null] of [
    ["", null, null], ["#camera=front", null, null, "front"], ["#viewers&at=7&camera=a%26b", "viewers", "7", "a&b"], ["#processes", "processes", null], ["#at=481", null, "481"], ["#timeline&at=481", "timeline", "481"],
    ["#at=2026-11-23T07:51:03.000Z&viewers", "viewers", "2026-11-23T07:51:03.000Z"], ["#at=%zz", null, "%zz"], ["#at=", null, null],
  ]) {
    const found = parse(hash);
    assert.deepEqual(found, { view, at, camera }, hash);
    assert.deepEqual(parse(`#${format(found)}`), found);
  }
});

test("a moment is the number of an event or a time, and anything else is rejected", () => {
  assert.deepEqual(parseMoment("481"), { seq: 481 });
  const at = Date.parse("2026-11-23T07:51:03.250Z");
  assert.deepEqual(parseMoment("2026-11-23T07:51:03.250Z"), { at });
  assert.equal(formatMoment({ at }), "2026-11-23T07:51:03.250Z");
  assert.equal(formatMoment({ seq: 481 }), "481");
  assert.deepEqual([queryOf({ seq: 7 }), queryOf({ at })], ["seq=7", "at=2026-11-23T07:51:03.250Z"]);
  for (const text of [null, "", "0", "yesterday", "<b>", "-3x", "-1", "1.5", "12 3", "Nov 23 2026", "2026-11-99", "9".repeat(30)]) assert.equal(parseMoment(text), null, text);
});

const ends = ({ min, max }) => [min, max];

test("the slider reaches the end of the journal, or a stretch round a moment that lies before", () => {
  const all = { first: 0, last: 100_000 };
  assert.deepEqual(ends(reach({ ...all, span: null, at: 5 })), [0, 100_000]);
  assert.deepEqual(ends(reach({ ...all, span: 10_000, at: 100_000 })), [90_000, 100_000]);
  assert.deepEqual(ends(reach({ ...all, span: 10_000, at: 50_000 })), [45_000, 55_000]);
  assert.deepEqual(ends(reach({ ...all, span: 10_000, at: 1000 })), [0, 10_000]);
  assert.deepEqual(ends(reach({ first: 50, last: 50, span: 10_000, at: 50 })), [50, 1050]);
  for (let at = 0; at <= 100_000; at += 700) {
    const { min, max } = reach({ ...all, span: 10_000, at });
    assert.ok(min <= at && at <= max && min >= 0 && max <= 100_000);
  }
});

test("what the slider reaches stays while the moment is within it, and goes on from either end of it", () => {
  const all = { first: 0, last: 100_000, span: 10_000 };
  const held = reach({ ...all, at: 50_000 });
  for (const at of [45_001, 47_000, 54_999]) assert.equal(reach({ ...all, at, held }), held);
  assert.deepEqual(ends(reach({ ...all, at: 45_000, held })), [40_000, 50_000]);
  assert.deepEqual(ends(reach({ ...all, at: 55_000, held })), [50_000, 60_000]);
  assert.deepEqual(ends(reach({ ...all, span: 20_000, at: 47_000, held })), [37_000, 57_000], "another span is chosen");
  assert.deepEqual([held.toEnd, reach({ ...all, at: 95_000, held }).toEnd], [false, true]);
});

// The past over a server that answers with `answer`, and a record of the messages to the panels and the bar.
async function openPast(answer, use) {
  const server = serve(answer);
  const clock = stopTheClock();
  const location = { hash: "", pathname: "/", search: "" };
  const replaceState = (state, title, to) => (location.hash = to.startsWith("#") ? to : "");
  Object.assign(globalThis, { window: new EventTarget(), location, history: { replaceState } });
  const did = [];
  const show = Object.fromEntries(["enter", "leave", "events", "reset"].map((name) => [name, () => did.push(name)]));
  const shown = [];
  show.state = (message) => (did.push("state"), shown.push(message));
  const past = createPast({ base: "http://127.0.0.1/", clock: { live: Date.now, hold: () => did.push("hold"), release() {} }, show, onChange() {} });
  await use({ past, did, shown, pass: clock.pass, asked: server.asked });
  clock.start();
  server.close();
}

test("while no moment can be had, the page stays as it is and says why in words", async () => {
  const silent = () => {
    throw new TypeError("Failed to fetch");
  };
  await openPast(silent, async ({ past, did, pass }) => {
    for (const look of [() => past.step(-1), () => past.failure(-1), () => past.go({ at: 1000 })]) {
      look();
      assert.deepEqual([past.view().inPast, past.moment()], [true, null]);
      past.state({ cameras: [] });
      await pass(5000); // at the first look it is displayed only now
      assert.deepEqual([did.splice(0), past.view().inPast, past.view().note], [["state"], false, "It could not be read: banken does not answer"]);
    }
    past.hello({});
    assert.equal(past.view().note, "", "banken is back");
  });
});

test("a moment of which there is no answer leaves the one before in its place, and the slider there", async () => {
  let silent = false;
  const then = { now: "2026-11-22T09:00:00Z", seq: 3, event: { text: "" }, first: { time: "2026-11-22T08:00:00Z" }, last: { time: "2026-11-22T10:00:00Z" } };
  const answer = ({ url }) => {
    if (silent) throw new TypeError("Failed to fetch");
    return { body: url.includes("api/state") ? then : { events: [{ seq: 3 }] } };
  };
  await openPast(answer, async ({ past, did, pass }) => {
    past.go({ at: 1000 });
    await pass(500);
    assert.deepEqual(did.splice(0), ["enter", "hold", "reset", "events", "state"]);
    silent = true;
    past.go({ at: 2000 });
    await pass(5000);
    const { inPast, moment, aim, note } = past.view();
    assert.deepEqual([did.splice(0), inPast, moment.seq, aim], [[], true, 3, null]);
    assert.equal(note, "It could not be read: banken does not answer");
    past.back();
    assert.deepEqual(did, ["reset", "leave", "events"]);
  });
});

test("a page that is opened in the past displays no present before it, and the present where none can be had", async () => {
  const then = { now: "2026-11-22T09:00:00Z", seq: 3, event: { text: "" }, first: { time: "2026-11-22T08:00:00Z" }, last: { time: "2026-11-22T10:00:00Z" } };
  let status = 200;
  const answer = ({ url }) => ({ status, body: url.includes("api/state") ? then : { events: [{ seq: 3 }] } });
  const open = (hash, hello, use) =>
    openPast(answer, async ({ past, shown, pass }) => {
      location.hash = hash;
      past.start();
      past.hello(hello);
      past.state({ cameras: ["present"] });
      await use({ past, shown, pass });
    });
  for (const [hash, hello] of [["#at=3", {}], ["", { replay: "2026-11-22T10:00:00Z" }]]) {
    await open(hash, hello, async ({ shown, pass }) => {
      assert.deepEqual(shown, [], "neither before the answer");
      await pass(500);
      assert.deepEqual(shown, [then], "nor with it");
    });
  }
  await open("#at=3", {}, async ({ past, shown }) => {
    past.back();
    assert.deepEqual(shown, [{ cameras: ["present"] }], "the user did not wait for it");
  });
  status = 404;
  await open("#at=3", {}, async ({ shown, pass }) => {
    await pass(500);
    assert.deepEqual(shown, [{ cameras: ["present"] }]);
  });
});

test("an address that names no moment gives way to what is shown, and one sentence says why", async () => {
  const first = "2026-11-22T08:00:00Z";
  const answer = ({ url }) => {
    const at = new URL(url).searchParams.get("at");
    if (at && at < first) return { status: 404, body: { detail: "the journal begins later" } };
    return { body: url.includes("api/state") ? { now: "2026-11-22T09:00:00Z", seq: 3, event: { text: "x" }, first: { time: first }, last: { time: "2026-11-22T10:00:00Z" } } : { events: [] } };
  };
  await openPast(answer, async ({ past, pass }) => {
    const go = async (hash) => {
      location.hash = hash;
      window.dispatchEvent(new Event("hashchange"));
      await pass(500);
      return [location.hash, past.view().moment?.seq ?? null, past.view().note];
    };
    location.hash = "#viewers&at=yesterday";
    past.start();
    past.hello({});
    const unread = "“yesterday” is neither the number of an event nor a time.";
    assert.deepEqual([location.hash, past.view().inPast, past.view().note], ["#viewers", false, unread], "hello does not take the words away");
    assert.deepEqual(await go("#at=2020-01-01T00:00:00Z"), ["", null, "It could not be read: the journal begins later"]);
    assert.deepEqual(await go("#at=3"), ["#at=3", 3, "#3 x"]);
    assert.deepEqual(await go("#at=yesterday"), ["#at=3", 3, unread]);
    assert.deepEqual(await go("#at=2020-01-01T00:00:00Z"), ["#at=3", 3, "It could not be read: the journal begins later"]);
  });
});

test("a step back from a moment without a daemon is to the last event before it, and not to the one before that", async () => {
  const answer = (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const inside = searchParams.get("seq") === "49"; // while entities that were still open are being closed
    if (pathname !== "/api/state" || (!searchParams.has("at") && !inside)) return journal(request);
    return { body: { now: searchParams.get("at") ?? new Date(), seq: inside ? 49 : 50, event: { text: "x" }, first: { time: 0 }, last: { time: 0 }, cameras: [], unknown: { text: "no daemon ran" } } };
  };
  await openPast(answer, async ({ past, pass }) => {
    past.hello({ last: 100 });
    for (const [move, seq] of [[() => past.step(-1), 50], [() => past.failure(-1), 50], [() => past.step(-2), 49], [() => past.step(1), 51], [() => past.failure(1), 60]]) {
      past.go({ at: Date.parse("2026-11-22T09:00:00Z") });
      await pass(500);
      assert.equal(past.view().moment.seq, 50);
      move();
      await pass(500);
      assert.equal(past.view().moment.seq, seq);
    }
    past.go({ seq: 49 });
    await pass(500);
    assert.equal(past.view().note, "#49 x. No daemon ran.", "the event is known, and the note tells one step from the next");
    past.step(-1);
    await pass(500);
    assert.equal(past.view().moment.seq, 48, "from an event of which nothing is known the step is to the one before it");
  });
});

// A journal with as many events as requested; every tenth is a failure.
function journal({ url }) {
  const { pathname, searchParams: query } = new URL(url);
  const ask = (name) => Number(query.get(name));
  if (pathname === "/api/state") return { body: { now: new Date(ask("seq") * 1000), seq: ask("seq"), event: { text: "" }, first: { time: 0 }, last: { time: 0 } } };
  const [before, after] = [ask("before"), ask("after")];
  if (pathname === "/api/failures") return { body: { event: before ? (before > 10 ? { seq: Math.ceil(before / 10) * 10 - 10 } : null) : { seq: Math.floor(after / 10) * 10 + 10 } } };
  const limit = ask("limit");
  const first = query.has("after") ? after + 1 : Math.max(1, before - limit);
  const last = query.has("after") ? (before ? Math.min(before - 1, after + limit) : after + limit) : before - 1;
  return { body: { events: Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => ({ seq: first + index })) } };
}

test("steps that are asked for while a moment is read add up, forwards and back, by events and by failures", async () => {
  await openPast(journal, async ({ past, pass, asked }) => {
    past.hello({ last: 100 });
    for (const [move, times, at] of [
      [() => past.step(-1), 3, 98], [() => past.step(1), 2, 100], [() => past.failure(-1), 3, 70], [() => past.failure(1), 2, 90], [() => past.step(-1), 1000, 1],
    ]) {
      for (let press = 0; press < times; press += 1) {
        move();
        if (press % 100 === 99) await pass(2000);
      }
      await pass(2000);
      assert.equal(past.view().moment.seq, at);
    }
    past.failure(-1);
    await pass(2000);
    assert.deepEqual([past.view().moment.seq, past.view().note], [1, "There is no failure before this."]);
    assert.ok(asked.length < 100, "presses share their questions");
  });
});

test("steps of a kind add up, up to a bound; there and back again is no step; of anything else the last counts", () => {
  const [back, on, failure] = [{ find: "event", by: -1 }, { find: "event", by: 1 }, { find: "failure", by: -1 }];
  assert.deepEqual(added(back, back), { find: "event", by: -2 });
  assert.equal(added(back, on), null);
  assert.deepEqual([added(back, failure), added({ at: 5 }, back), added(back, { at: 5 })], [failure, back, { at: 5 }]);
  assert.equal(added({ find: "event", by: MOST_STEPS }, on).by, MOST_STEPS);
});

test("of a moment without a daemon the cameras are shown, and no state of theirs; the note says why, in English", async () => {
  const camera = { id: "front", title: "front", state: "live", since: "2026-11-22T07:00:00Z", viewers: 2, width: 320, height: 180, codec: "h264", audio: "aac" };
  const then = {
    now: "2026-11-22T09:00:00Z", seq: 3, event: { text: "x is live" }, first: { time: "2026-11-22T08:00:00Z" }, last: { time: "2026-11-22T10:00:00Z" },
    cameras: [camera], health: { verdict: "ok", parts: [{ part: "alert/x", reason: "r" }] }, refused: { lines: [] }, processes: [{}], devices: [{}], peers: [{}], leases: [{}], rooms: [{}],
    unknown: { from: "2026-11-22T08:00:00Z", to: "2026-11-22T10:00:00Z", text: "nothing is known between a and b: no daemon ran" },
  };
  await openPast(({ url }) => ({ body: url.includes("api/state") ? then : { events: [] } }), async ({ past, shown, pass }) => {
    past.go({ at: 1000 });
    await pass(500);
    const [{ cameras, health, refused, processes, devices, peers, leases, rooms }] = shown;
    assert.deepEqual([cameras[0].id, cameras[0].state, cameras[0].since, cameras[0].viewers, cameras[0].width], ["front", "unknown", null, null, null]);
    assert.deepEqual([health, refused, [processes, devices, peers, leases, rooms].flat()], [{ verdict: "unknown", parts: [] }, null, []]);
    const { note, noteLang } = past.view();
    assert.deepEqual([note, noteLang], ["Nothing is known between a and b: no daemon ran.", "en"]);
    const { title, detail } = pastView(cameras[0], 0);
    assert.deepEqual([title, detail], ["Nothing is known", "The daemon was not running, or it ended abnormally."]);
  });
  assert.equal(unknownOf(then).seq, 3);
});

test("playing goes at its speed and ends at the end", () => {
  assert.deepEqual(advance(1000, 60, 200, 1e9), { at: 13_000, ended: false });
  assert.deepEqual(advance(1000, 0.1, 200, 1e9), { at: 1020, ended: false });
  assert.deepEqual(advance(1000, 1000, 200, 5000), { at: 5000, ended: true });
});

test("one question is out at a time; of those that wait only the last is asked", async () => {
  const asked = [];
  const answers = [];
  const latest = createLatest((question) => new Promise((resolve) => {
    asked.push(question);
    answers.push(resolve);
  }));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (const question of [1, 2, 3, 4]) latest.ask(question);
  assert.deepEqual([asked, latest.busy()], [[1], true]);
  answers[0]();
  await turn();
  assert.deepEqual(asked, [1, 4]);
  latest.ask(5);
  latest.drop();
  answers[1]();
  await turn();
  assert.deepEqual([asked, latest.busy()], [[1, 4], false]);
});

test("a tile of the past says what was, with the reason, and never that it plays", () => {
  const camera = (state, more = {}) => ({ id: "gate", state, since: "2026-11-23T07:51:03Z", reason: null, retry_at: null, ...more });
  assert.equal(pastView(camera("live"), 0).title, "Was live");
  assert.equal(pastView(camera("idle"), 0).tone, "idle");
  const reason = { code: "x", text: "connection refused", fault: "temporary" };
  const view = pastView(camera("waiting", { reason, retry_at: "2026-11-23T07:51:10Z" }), Date.parse("2026-11-23T07:51:07Z"));
  assert.deepEqual([view.title, view.detail, view.next, view.lang], ["Waiting for the camera", "Connection refused.", "Next try in 3 s", "en"]);
  assert.equal(pastView(camera("idle", { reason }), 0).lang, "en");
  for (const state of ["live", "idle", "stalled", "queued", "connecting", "waiting", "failed", "quarantined"]) {
    assert.ok(pastView(camera(state, { reason }), 0).title, state);
  }
});
