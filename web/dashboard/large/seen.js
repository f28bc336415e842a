// The newest detections of the camera that is looked at.
import { askJson } from "../ask.js";
import { $ } from "../dom.js";
import { createCards } from "../panels/detection-cards.js";
import { queryOf, TOUCHES } from "../panels/detections.js";

const LIMIT = 12;

export function createSeen({ base, clock }) {
  const section = $("large-seen");
  const cards = createCards($("large-seen-rows"), { base, onOpen() {} });
  let camera = null;
  let asking = null;

  async function ask() {
    asking?.abort();
    const mine = (asking = new AbortController());
    // A daemon without detections has nothing to show here, and that is all there is to say.
    const answer = await askJson(new URL(`api/detections?${queryOf({ camera }, LIMIT)}`, base), { signal: mine.signal }).catch(() => null);
    if (asking !== mine || !answer) return;
    cards.draw(answer.detections);
    cards.tick(clock.now());
    section.hidden = answer.detections.length === 0;
  }

  return {
    // In the past there are none: their pictures are not kept so long.
    open(id, before) {
      camera = id;
      if (before === null) ask();
    },
    events: (list) => camera !== null && list.some(({ type, body }) => TOUCHES.test(type) && body.camera === camera) && ask(),
    close() {
      asking?.abort();
      asking = camera = null;
      cards.draw([]);
      section.hidden = true;
    },
  };
}
