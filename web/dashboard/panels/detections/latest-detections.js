// The newest detections of the camera in the large view.
import { askJson } from "../../ask.js";
import { $ } from "../../dom.js";
import { createCards } from "./detection-cards.js";
import { isDetection, queryOf } from "./query.js";

const LIMIT = 12;

export function createSeen({ base, clock }) {
  const section = $("large-seen");
  const cards = createCards($("large-seen-rows"), { base, onOpen() {} });
  let camera = null;
  let asking = null;

  async function ask() {
    asking?.abort();
    const mine = (asking = new AbortController());
    const answer = await askJson(new URL(`api/detections?${queryOf({ camera }, LIMIT)}`, base), {
      signal: mine.signal,
    }).catch(() => null);
    if (asking !== mine || !answer) return;
    cards.draw(answer.detections);
    cards.tick(clock.live());
    section.hidden = answer.detections.length === 0;
  }

  return {
    // In the past the list is empty: pictures of detections are not kept that long.
    open(id, before) {
      camera = id;
      if (before === null) ask();
    },
    events: (list) =>
      camera !== null && list.some((event) => isDetection(event) && event.body.camera === camera) && ask(),
    close() {
      asking?.abort();
      asking = camera = null;
      cards.draw([]);
      section.hidden = true;
    },
  };
}
