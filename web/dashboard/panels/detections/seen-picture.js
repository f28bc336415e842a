// The picture of a detection with the position marked.

// → a list of elements for an element of the class `detection-frame`. `box`: [x, y, width, height] as shares, or null.
export function seenPicture(src, box) {
  const img = Object.assign(document.createElement("img"), { alt: "", loading: "lazy", decoding: "async", src });
  // A picture that has left the ring buffer in the meantime counts as one that never existed.
  img.addEventListener("error", () => img.remove(), { once: true });
  return box ? [img, frameOf(box)] : [img];
}

function frameOf([x, y, width, height]) {
  const mark = Object.assign(document.createElement("i"), { className: "detection-box" });
  const share = { left: x, top: y, width, height };
  for (const [name, value] of Object.entries(share)) mark.style.setProperty(name, `${value * 100}%`);
  return mark;
}
