// What is too narrow for a pattern is one line of pixels for each lane, stretched to its height: a hundred thousand
// spans are then as many writes into memory, and a single picture for the canvas.

export function createStrip() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let image = null;
  let pixels = null;

  return {
    begin(width, rows) {
      [canvas.width, canvas.height] = [Math.ceil(width), Math.max(1, rows)];
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
    },
    // `colour` as pixelOf gives it.
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

// A CSS colour as the number that stands for it in an ImageData, whatever the machine's order of bytes.
export function pixelOf(colour) {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}
