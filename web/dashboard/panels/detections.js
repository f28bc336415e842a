// The view of detections: what detectors have reported, newest first, of one camera or of one kind where that is wanted.
import { isAbsent, Refusal } from "../ask.js";
import { $, on, say } from "../dom.js";
import { t } from "../i18n.js";
import { createPoll } from "../poll.js";
import { complaint } from "./complaint.js";
import { createCards } from "./detection-cards.js";

export const TOUCHES = /^(Detection|Suggestion)/;
const LIMIT = 60;

// The query for what is wanted; nothing is said of what is left open. Pure.
export function queryOf({ camera = "", label = "" }, limit = LIMIT) {
  const query = new URLSearchParams({ limit });
  if (camera) query.set("camera", camera);
  if (label.trim()) query.set("label", label.trim());
  return query;
}

const why = (error) => (error instanceof Refusal && isAbsent(error) ? t("This daemon takes no detections.") : complaint(error));

export function createDetections({ base, clock, onOpen }) {
  const note = $("detection-note");
  const camera = $("detection-camera");
  const label = $("detection-label");
  const cards = createCards($("detection-rows"), { base, onOpen });
  const wanted = () => ({ camera: camera.value, label: label.value });
  const poll = createPoll({
    url: () => new URL(`api/detections?${queryOf(wanted())}`, base),
    take,
    fail: (error) => say(note, why(error)),
    clock,
    tick: () => cards.tick(clock.now()),
  });
  let past = false;

  function take({ detections }) {
    if (!label.value) offer([...new Set(detections.map((each) => each.label))].sort());
    cards.draw(detections);
    cards.tick(clock.now());
    const filtered = camera.value || label.value;
    say(note, detections.length ? "" : past ? t("What was detected is shown of now only.") : filtered ? t("No detection matches.") : t("Nothing has been detected yet."));
  }

  // What may be asked for: the labels that were seen.
  function offer(labels) {
    const list = $("detection-labels");
    if (labels.join("\n") !== [...list.options].map(({ value }) => value).join("\n")) list.replaceChildren(...labels.map((each) => new Option(each)));
  }

  on(camera, "change", poll.again);
  on(label, "input", poll.again);

  return {
    state({ cameras }) {
      const ids = cameras.map(({ id }) => id);
      if (ids.join("\n") === [...camera.options].slice(1).map(({ value }) => value).join("\n")) return;
      const chosen = camera.value;
      camera.replaceChildren(camera.options[0], ...ids.map((id) => new Option(id, id, false, id === chosen)));
    },
    events: (list) => list.some(({ type }) => TOUCHES.test(type)) && poll.hurry(),
    past(is) {
      past = is;
      poll.give(is ? { detections: [] } : null);
    },
    enter: poll.start,
    leave: poll.stop,
  };
}
