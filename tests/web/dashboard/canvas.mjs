// A fake canvas in Node. It knows what is filled, drawn and written on it, each with its colour: a name of the theme.
// Patterns count as the colour that they are cut out of.

const codes = new Map(); // colour → the number that it has in an ImageData
const codeOf = (colour) => codes.get(colour) ?? codes.set(colour, codes.size + 1).get(colour);
const colourOf = (code) => [...codes].find(([, each]) => each === code)?.[0] ?? null;

class Pen {
  font = "";
  fillStyle = "";
  strokeStyle = "";
  lineWidth = 1;
  shift = 0;
  kept = [];
  rects = [];
  images = [];
  texts = [];
  save = () => void this.kept.push(this.shift);
  restore = () => void (this.shift = this.kept.pop());
  translate = (x) => void (this.shift += x);
  fillRect = (x, y, width, height) => void this.rects.push({ x: x + this.shift, y, width, height, colour: this.fillStyle });
  fillText = (text, x, y) => void this.texts.push({ text, x: x + this.shift, y });
  measureText = (text) => ({ width: 6 * text.length });
  createPattern = (canvas) => canvas.pen.rects[0].colour;
  createImageData = (width, height) => ({ width, data: new Uint8ClampedArray(4 * width * height) });
  putImageData = (image) => void (this.image = image);
  getImageData = () => ({ data: new Uint8ClampedArray(new Uint32Array([codeOf(this.fillStyle)]).buffer) });
  // A line of pixels counts as a rectangle for each of them; other images as themselves.
  drawImage({ pen }, ...[first, second, ...rest]) {
    if (!pen.image) return void this.images.push({ x: first + this.shift, y: second, colour: pen.strokeStyle });
    const [width, , , y, , height] = rest;
    const line = new Uint32Array(pen.image.data.buffer).subarray(second * pen.image.width, second * pen.image.width + width);
    line.forEach((code, x) => code && this.rects.push({ x: x + this.shift, y, width: 1, height, colour: colourOf(code) }));
  }
}
for (const name of ["clearRect", "beginPath", "rect", "clip", "setTransform", "scale", "moveTo", "lineTo", "closePath", "fill", "stroke", "strokeRect"])
  Pen.prototype[name] = () => {};

export const createCanvas = () => {
  const pen = new Pen();
  return { width: 0, height: 0, pen, getContext: () => pen };
};

Object.assign(globalThis, {
  devicePixelRatio: 1,
  document: { createElement: createCanvas, documentElement: {} },
  getComputedStyle: () => ({ getPropertyValue: (name) => name }),
});
