// The view of detections: the reports of the detectors, newest first; optionally of one camera or one label only.
import { isAbsent, Refusal } from "../../ask.js";
import { $, on, say } from "../../dom.js";
import { n, t } from "../../i18n.js";
import { createPoll } from "../../poll.js";
import { complaint, noAnswer } from "../../complaint.js";
import { createCards } from "./detection-cards.js";
import { createDetectors } from "./detectors.js";
import { isDetection, queryOf } from "./query.js";
import { createSeen } from "./latest-detections.js";
import { definePanel } from "../../panel.js";
import { JA } from "./detections.ja.js";

const why = (error) =>
  error instanceof Refusal && isAbsent(error) ? t("This daemon does not accept detections.") : complaint(error);

export function createDetections({ base, clock, onOpen }) {
  const note = $("detection-note");
  const camera = $("detection-camera");
  const label = $("detection-label");
  const cards = createCards($("detection-rows"), { base, onOpen });
  const detectors = createDetectors({ base, clock });
  const wanted = () => ({ camera: camera.value, label: label.value });
  const poll = createPoll({
    url: () => new URL(`api/detections?${queryOf(wanted())}`, base),
    take,
    fail: (error) => say(note, why(error)),
    clock,
    tick: () => cards.tick(clock.live()),
  });
  let past = false;
  let detections = null; // until the first answer

  function take(answer) {
    ({ detections } = answer);
    draw();
  }

  function draw() {
    if (!detections) return say(note, clock.isSilent() ? noAnswer() : t("Requesting…"));
    if (!label.value) offer([...new Set(detections.map((each) => each.label))].sort());
    cards.draw(detections);
    cards.tick(clock.live());
    const filtered = camera.value || label.value;
    say(
      note,
      detections.length
        ? ""
        : clock.isSilent()
          ? noAnswer()
          : past
            ? t("Detections are shown for the present only.")
            : filtered
              ? t("No detection matches.")
              : t("Nothing has been detected yet."),
    );
  }

  // Offers the labels that were seen.
  function offer(labels) {
    const list = $("detection-labels");
    if (labels.join("\n") !== [...list.options].map(({ value }) => value).join("\n"))
      list.replaceChildren(...labels.map((each) => new Option(each)));
  }

  clock.onSilence(draw);
  on(camera, "change", poll.again);
  on(label, "input", poll.again);

  return {
    state({ cameras }) {
      const ids = cameras.map(({ id }) => id);
      if (
        ids.join("\n") ===
        [...camera.options]
          .slice(1)
          .map(({ value }) => value)
          .join("\n")
      )
        return;
      const chosen = camera.value;
      camera.replaceChildren(camera.options[0], ...ids.map((id) => new Option(id, id, false, id === chosen)));
    },
    events: (list) => list.some(isDetection) && poll.hurry(),
    inPast(is) {
      past = is;
      poll.give(is ? { detections: [] } : null);
      detectors.inPast(is);
    },
    enter() {
      poll.start();
      detectors.enter();
    },
    leave() {
      poll.stop();
      detectors.leave();
    },
  };
}

export const panel = definePanel({
  id: "detections",
  needs: "read",
  title: n("Detections"),
  past: true,
  words: JA,
  shortcuts: [{ keys: ["x"], says: n("detections") }],
  mount: (_root, { base, clock, panels }) => ({
    ...createDetections({ base, clock, onOpen: (id) => panels.large.open(id) }),
    ofCamera: createSeen({ base, clock }),
  }),
});
