// The dialog of clips: camera and time are chosen, size and gaps are shown, then the video is downloaded.
// Rules of this file:
// 1. Nothing is downloaded before its size and its gaps are shown.
// 2. Up to `MOST_HELD` the page shows the progress and keeps the bytes meanwhile; above it the browser downloads.
import { ask, askJson } from "../../ask.js";
import { on, partsOf, say } from "../../dom.js";
import { attachForm, problemOf } from "../../forms.js";
import { fullTime, plural } from "../../format.js";
import { n, t } from "../../i18n.js";
import { sizeWords } from "../recordings/recordings.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { JA } from "./clip.ja.js";

const MOST_HELD = 256e6;
const USUAL_MS = 300_000;
const SETTLE_MS = 400;

// The value of a datetime-local field, in local time. Pure.
export function fieldTime(date) {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

export function createClip({ dialog, base, clock }) {
  const parts = partsOf(dialog);
  const { "clip-camera": camera, "clip-from": from, "clip-to": to, "clip-save": save, "clip-progress": bar } = parts;
  const drawGaps = createRows(parts["clip-gaps"], {
    key: ({ since_ns: since }) => since,
    create: () => document.createElement("li"),
    fill: (node, gap) =>
      say(
        node,
        t("{from} to {to}: no video: {reason}", {
          from: fullTime(new Date(gap.since)),
          to: fullTime(new Date(gap.until)),
          reason: gap.reason.text,
        }),
      ),
  });
  let cameras = [];
  let size = null; // of the clip that is chosen; null until it is known
  let asking = null;
  let timer = null;
  let loading = null;

  // → the query of what is chosen; null without one.
  function chosen() {
    const [since, until] = [new Date(from.value), new Date(to.value)];
    if (!(since < until)) return null;
    return new URLSearchParams({ from: since.toISOString(), to: until.toISOString() });
  }

  function changed() {
    size = null;
    save.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(look, SETTLE_MS);
  }

  async function look() {
    asking?.abort();
    const query = chosen();
    drawGaps([]);
    say(parts["clip-problem"], "");
    if (!query) return say(parts["clip-facts"], t("Choose a time that ends after its beginning."));
    say(parts["clip-facts"], t("Requesting…"));
    const mine = (asking = new AbortController());
    const url = new URL(`api/footage?${query}&clip&camera=${encodeURIComponent(camera.value)}`, base);
    try {
      const [found] = (await askJson(url, { signal: mine.signal })).cameras;
      if (mine === asking) show(found);
    } catch (error) {
      if (mine !== asking) return;
      say(parts["clip-facts"], "");
      say(parts["clip-problem"], problemOf(error));
    }
  }

  function show(found) {
    drawGaps(found.gaps);
    size = found.clip_bytes;
    save.disabled = size === null;
    if (size !== null)
      say(
        parts["clip-facts"],
        [sizeWords(size), plural(found.stretches.length, "part"), plural(found.gaps.length, "gap")].join(" · "),
      );
    else if (!found.stretches.length) say(parts["clip-facts"], t("Nothing is recorded of this time."));
    else
      say(
        parts["clip-facts"],
        t("This time cannot be one clip: the camera sent other video meanwhile, or it is too long."),
      );
  }

  async function download() {
    const query = chosen();
    if (!query || size === null) return;
    const url = new URL(`footage/${encodeURIComponent(camera.value)}/clip.mp4?${query}`, base);
    if (size > MOST_HELD) return leave(url.href, "");
    const mine = (loading = new AbortController());
    bar.value = 0;
    bar.hidden = false;
    try {
      const { data, name } = await ask(url, { tries: 1, timeout: 3_600_000, signal: mine.signal, read: receive });
      const address = URL.createObjectURL(data);
      leave(address, name);
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      if (!mine.signal.aborted) throw error;
    } finally {
      if (loading === mine) loading = null;
      bar.hidden = true;
    }
  }

  async function receive(response) {
    const total = Number(response.headers.get("Content-Length")) || size;
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "clip.mp4";
    const chunks = [];
    let count = 0;
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      chunks.push(value);
      count += value.length;
      bar.value = count / total;
    }
    return { data: new Blob(chunks, { type: "video/mp4" }), name };
  }

  // The browser saves what is at an address.
  function leave(href, name) {
    const link = Object.assign(document.createElement("a"), { href, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    say(parts["clip-facts"], t("The clip is downloaded ({size}).", { size: sizeWords(size) }));
  }

  function stop() {
    clearTimeout(timer);
    asking?.abort();
    loading?.abort();
    asking = loading = null;
  }

  attachForm(parts["clip-form"], parts["clip-problem"], download);
  for (const field of [camera, from, to]) on(field, "input", changed);
  on(parts["clip-cancel"], "click", () => (loading ? loading.abort() : dialog.close()));
  on(dialog, "click", (event) => event.target === dialog && dialog.close());
  on(dialog, "close", () => dialog.open || stop()); // it may be open again

  return {
    state: (message) => (cameras = message.cameras.map(({ id, title }) => ({ id, title }))),
    // `since`, `until`: dates; without them, the last five minutes.
    open(id, since = null, until = null) {
      camera.replaceChildren(
        ...cameras.map(({ id: value, title }) =>
          Object.assign(document.createElement("option"), { value, textContent: title }),
        ),
      );
      camera.value = id;
      const end = until ?? new Date(clock.now());
      to.value = fieldTime(end);
      from.value = fieldTime(since ?? new Date(end.getTime() - USUAL_MS));
      dialog.showModal();
      save.disabled = true;
      size = null;
      look();
      from.focus();
    },
  };
}

export const panel = definePanel({
  id: "clip",
  needs: "review",
  title: n("Clip"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, clock }) => createClip({ dialog: root, base, clock }),
});
