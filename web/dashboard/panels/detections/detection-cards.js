// Detections as cards: label, camera, time, score, and the picture with the position marked.
import { say, set } from "../../dom.js";
import { ago, fullTime } from "../../format.js";
import { t } from "../../i18n.js";
import { createRows } from "../../rows.js";
import { seenPicture } from "./seen-picture.js";

// `onOpen(camera)`. → {draw(list), tick(now)}.
export function createCards(list, { base, onOpen }) {
  const draw = createRows(list, { key: ({ detection }) => detection, create, fill });

  function create({ detection, camera, image, box }) {
    const node = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "detection" });
    const frame = Object.assign(document.createElement("span"), { className: "detection-frame" });
    if (image)
      frame.append(
        ...seenPicture(new URL(`api/detections/${encodeURIComponent(detection)}/image.jpg`, base).href, box),
      );
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
      for (const time of list.querySelectorAll("time"))
        say(time, t("{time} ago", { time: ago(now - Date.parse(time.dateTime)) }));
    },
  };
}

function fill(node, { camera, label, score, time, suggested = false, why = "" }) {
  const [, what, where, when] = node.firstElementChild.children;
  say(what, `${label} ${Math.round(score * 100)} %`);
  say(where, camera);
  for (const each of [what, where]) set(each, "title", each.textContent); // both may be shortened
  set(when, "datetime", time);
  set(when, "title", fullTime(new Date(time)));
  node.toggleAttribute("data-suggested", suggested);
  set(node.firstElementChild, "title", why || null);
}
