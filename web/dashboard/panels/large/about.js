// The facts about one camera: its announcements, its stream, and its deviations from the standards. They are requested
// again and again while the camera is displayed. The journal has none of the past.
import { askJson } from "../../ask.js";
import { $, say, set } from "../../dom.js";
import { bitrate, codecName, fixed, plural, resolution } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createRows } from "../../rows.js";

export const EVERY_MS = 5_000;

const joined = (...words) => words.filter(Boolean).join(", ");
const milliseconds = (seconds, digits = 0) => `${fixed(seconds * 1000, digits)} ms`;

// Each known fact: its label, its words, and whether the camera wrote them. Pure. The labels and the English words are
// those of supervisor/cli/camera_facts.py.
export function rowsOf(facts) {
  const foreign = [
    [n("software"), facts.server],
    [n("described as"), joined(facts.title, facts.information, facts.tool)],
  ];
  const own = [
    [n("video"), videoOf(facts)],
    [n("GOP"), gopOf(facts)],
    [n("audio"), audioOf(facts)],
    [n("transport"), joined(facts.transport, facts.encryption, facts.tls)],
    [n("certificate"), facts.certificate && `SHA-256 ${facts.certificate}`],
    [n("round trip"), roundTripOf(facts)],
    [n("packets"), packetsOf(facts)],
    [n("clock"), clockOf(facts)],
  ];
  return [...foreign.map((row) => [...row, true]), ...own.map((row) => [...row, false])]
    .filter(([, words]) => words)
    .map(([label, words, isForeign]) => ({ label, words, isForeign }));
}

function videoOf({ codec, profile, level, width, height, fps, bitrate: bits }) {
  if (!codec) return "";
  const size = width === null || height === null ? "" : resolution(width, height);
  const [named, levelled] = [profile && t("{profile} profile", { profile }), level && t("level {level}", { level })];
  return joined(codecName(codec), named, levelled, size, `${fixed(fps, 1)} fps`, bitrate(bits));
}

function gopOf({ codec, gop_frames: frames, gop_s: seconds, b_frames: hasB }) {
  if (!codec) return "";
  const length =
    frames === null || seconds === null
      ? t("no second key frame yet")
      : t("{frames} in {seconds} s", { frames: plural(frames, "frame"), seconds: fixed(seconds, 2) });
  return joined(length, hasB ? t("with B-frames") : t("no B-frames"));
}

function audioOf({ codec, audio, audio_rate: rate, audio_channels: channels, audio_use: use }) {
  if (!audio) return use || (codec ? t("none") : "");
  return joined(codecName(audio), rate && `${rate / 1000} kHz`, channels && plural(channels, "channel"), use);
}

function roundTripOf({ round_trip_s: last, slowest_s: slowest, slowest: method }) {
  if (last === null || slowest === null) return "";
  return t("{last}; slowest answer: {slowest} ({method})", {
    last: milliseconds(last),
    slowest: milliseconds(slowest),
    method,
  });
}

function packetsOf({ loss, jitter_s: jitter }) {
  if (loss === null || jitter === null) return "";
  return t("{loss} % lost, jitter {jitter}", { loss: fixed(loss * 100, 2), jitter: milliseconds(jitter, 1) });
}

function clockOf({ clock_skew_s: skew }) {
  if (skew === null) return "";
  const seconds = fixed(Math.abs(skew), 1);
  if (seconds === "0.0") return t("right to 0.1 s");
  return skew > 0 ? t("{seconds} s ahead of banken", { seconds }) : t("{seconds} s behind banken", { seconds });
}

// With the interface of history.js.
export function createAbout({ base, clock }) {
  const note = $("about-note");
  const drawFacts = createRows($("about-facts"), { key: ({ label }) => label, create: factRow, fill: fillFact });
  const drawOddities = createRows($("about-oddities"), {
    key: ({ code }) => code,
    create: oddityRow,
    fill: fillOddity,
  });
  let asking = null;
  let asked = 0;
  let untick = () => {};

  async function show(id) {
    asking?.abort();
    const mine = (asking = new AbortController());
    asked = clock.live();
    const url = new URL(`api/cameras/${encodeURIComponent(id)}/about`, base);
    const answer = await askJson(url, { signal: mine.signal }).catch((error) => ({ error }));
    if (asking !== mine) return;
    if (answer.error) return say(note, t("It could not be read: {reason}", { reason: answer.error.message }));
    const rows = rowsOf(answer);
    draw(rows, answer.oddities);
    if (answer.oddities.length) say(note, t("Deviations from the standards:"));
    else say(note, rows.length ? "" : t("Not connected yet."));
  }

  function draw(rows, oddities) {
    drawFacts(rows);
    drawOddities(oddities);
    for (const part of ["about-facts", "about-oddities"]) $(part).hidden = !$(part).children.length;
  }

  return {
    open(id, before = null) {
      this.close();
      if (before !== null) return say(note, t("The journal has no facts about streams of the past."));
      say(note, t("Requesting…"));
      show(id);
      untick = clock.onTick(() => document.hidden || clock.live() - asked < EVERY_MS || show(id));
    },
    events() {},
    close() {
      untick();
      asking?.abort();
      asking = null;
      draw([], []);
      say(note, "");
    },
  };
}

function factRow() {
  const node = document.createElement("div");
  node.append(document.createElement("dt"), document.createElement("dd"));
  return node;
}

function fillFact(node, { label, words, isForeign }) {
  const [title, value] = node.children;
  say(title, t(label));
  say(value, words);
  set(value, "translate", isForeign ? "no" : null);
  set(value, "dir", isForeign ? "auto" : null);
}

function oddityRow() {
  const node = document.createElement("li");
  node.lang = "en";
  node.append(...["b", "span", "span"].map((tag) => document.createElement(tag)));
  return node;
}

function fillOddity(node, { code, does, handled, count }) {
  const [name, deed, handling] = node.children;
  say(name, `${code} ×${count}`);
  say(deed, does);
  say(handling, handled);
}
