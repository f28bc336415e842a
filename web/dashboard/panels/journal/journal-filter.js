// The filter of the journal: typed words, and at most one camera.
import { $, on, say } from "../../dom.js";
import { t } from "../../i18n.js";

// Pure: every word must occur somewhere in the event.
export function matches(event, { words, camera }) {
  if (camera && event.stream !== `camera/${camera}` && event.body?.camera !== camera) return false;
  if (!words.length) return true;
  const hay = `${event.text} ${event.type} ${event.stream} ${event.severity} ${event.correlation}`.toLowerCase();
  return words.every((word) => hay.includes(word));
}

export function createFilter({ onChange, onCamera }) {
  const input = $("filter");
  const chip = $("filter-chip");
  const filter = { words: [], camera: null };

  function setCamera(camera) {
    filter.camera = camera;
    chip.hidden = camera === null;
    say($("filter-camera"), camera ?? "");
    chip.setAttribute("aria-label", t("Remove the filter on {camera}", { camera }));
    onCamera(camera);
    onChange(filter);
  }

  function setWords(text) {
    filter.words = text.toLowerCase().split(/\s+/).filter(Boolean);
    onChange(filter);
  }

  on(input, "input", () => setWords(input.value));
  on(chip, "click", () => {
    setCamera(null);
    input.focus();
  });
  on(input, "keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    input.value = "";
    setWords("");
    input.blur();
  });

  return {
    matches: (event) => matches(event, filter),
    isSet: () => filter.words.length > 0 || filter.camera !== null,
    camera: () => filter.camera,
    setCamera,
    type(text) {
      input.value = text;
      setWords(text);
    },
    focus: () => input.focus(),
  };
}
