// Detections as cards: what was seen, where, when, how surely, and its picture with the place marked.
import { say, set } from "../dom.js";
import { ago, fullTime } from "../format.js";
import { t } from "../i18n.js";
import { createRows } from "../rows.js";

// `onOpen(camera)`. → {draw(list), tick(now)}.
export function createCards(list, { base, onOpen }) {
  const draw = createRows(list, { key: ({ detection }) => detection, create, fill });

  function create({ detection, camera, image, box }) {
    const node = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "detection" });
    const frame = Object.assign(document.createElement("span"), { className: "detection-frame" });
    if (image) frame.append(picture(new URL(`api/detections/${encodeURIComponent(detection)}/image.jpg`, base).href, box));
    const what = document.createElement("b");
    const where = document.createElement("span");
    button.append(frame, what, where, document.createElement("time"));
    button.addEventListener("click", () => onOpen(camera));
    node.append(button);
    return node;
  }

  return {
    draw,
    tick(now) {
      for (const time of list.querySelectorAll("time")) say(time, t("{time} ago", { time: ago(now - Date.parse(time.dateTime)) }));
    },
  };
}

function picture(src, box) {
  const both = document.createDocumentFragment();
  const img = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", decoding: "async", src });
  // One that has left the ring of pictures meanwhile is as one that never had any.
  img.addEventListener("error", () => img.remove(), { once: true });
  both.append(img);
  if (box) both.append(frameOf(box));
  return both;
}

function frameOf([x, y, width, height]) {
  const mark = Object.assign(document.createElement("i"), { className: "detection-box" });
  const share = { left: x, top: y, width, height };
  for (const [name, value] of Object.entries(share)) mark.style.setProperty(name, `${value * 100}%`);
  return mark;
}

function fill(node, { camera, label, score, time, suggested = false, why = "" }) {
  const [, what, where, when] = node.firstElementChild.children;
  say(what, `${label} ${Math.round(score * 100)} %`);
  say(where, camera);
  set(when, "datetime", time);
  set(when, "title", fullTime(new Date(time)));
  node.toggleAttribute("data-suggested", suggested);
  set(node.firstElementChild, "title", why || null);
}
