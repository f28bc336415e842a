// Spans too narrow for a pattern form one line of pixels per lane, stretched to its height. A hundred thousand spans
// are then that many writes into memory, and a single image for the canvas.
import { penOf } from "../../dom.js";

export function createStrip() {
  const canvas = document.createElement("canvas");
  const context = penOf(canvas, { willReadFrequently: true });
  /** @type {ImageData} */
  let image;
  /** @type {Uint32Array} */
  let pixels;

  return {
    begin(width, rows) {
      [canvas.width, canvas.height] = [Math.ceil(width), Math.max(1, rows)];
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
    },
    // `colour` as pixelOf returns it.
    put(row, x, width, colour) {
      const from = Math.floor(x);
      const to = Math.min(canvas.width, Math.max(from + 1, Math.floor(x + width)));
      pixels.fill(colour, row * canvas.width + from, row * canvas.width + to);
    },
    end: () => context.putImageData(image, 0, 0),
    draw(target, row, y, height) {
      target.drawImage(canvas, 0, row, canvas.width, 1, 0, y, canvas.width, height);
    },
  };
}

// A CSS colour as the number that represents it in an ImageData, for any byte order of the machine.
export function pixelOf(colour) {
  const context = penOf(Object.assign(document.createElement("canvas"), { width: 1, height: 1 }));
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}
