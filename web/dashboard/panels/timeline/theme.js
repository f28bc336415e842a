// The colours, patterns and marks of the canvas, made from the page's theme and made again when that has changed.
import { penOf } from "../../dom.js";
import { STATES } from "./chart.js";
import { pixelOf } from "./strip.js";

const TILE = 8;
const NAMED = ["ink", "ink-soft", "line", "line-strong", "surface", "sunken", "accent", "failed", "waiting"];

// The patterns are cut out of the colour, as strokes in the background colour.
const STROKES = {
  rising: [[0, 8, 8, 0]],
  falling: [[0, 0, 8, 8]],
  crossed: [
    [0, 0, 8, 8],
    [0, 8, 8, 0],
  ],
  bars: [[2, 0, 2, 8]],
  dots: [[3, 4, 5, 4]],
};

// → a function that returns the current theme.
export function watchTheme(context) {
  let theme = null;

  return () => {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    const key = value("--ground") + value("--live") + devicePixelRatio;
    if (theme?.key === key) return theme;
    const named = Object.fromEntries(NAMED.map((name) => [name, value(`--${name}`)]));
    const states = STATES.map(([name, variable, pattern]) => {
      const colour = value(variable);
      return { name, pattern, colour, pixel: pixelOf(colour), fill: tile(context, pattern, colour, named.surface) };
    });
    const marks = {
      error: mark(named.failed, named.failed),
      warning: mark(named.waiting, named.surface),
      notice: mark(named.ink, named.surface),
    };
    theme = {
      key,
      font: value("--sans"),
      states,
      marks,
      hatch: tile(context, "rising", named.sunken, named["line-strong"]),
      ...named,
    };
    return theme;
  };
}

function tile(context, pattern, colour, cut) {
  if (!STROKES[pattern]) return colour;
  const small = Object.assign(document.createElement("canvas"), { width: TILE, height: TILE });
  const pen = penOf(small);
  pen.fillStyle = colour;
  pen.fillRect(0, 0, TILE, TILE);
  pen.strokeStyle = cut;
  pen.lineWidth = 1.8;
  for (const [x, y, toX, toY] of STROKES[pattern]) {
    // Drawn beyond the edges too, so that the pattern continues across tiles.
    for (const shift of [-TILE, 0, TILE]) {
      pen.beginPath();
      pen.moveTo(x + shift, y);
      pen.lineTo(toX + shift, toY);
      pen.stroke();
    }
  }
  return context.createPattern(small, "repeat");
}

export const MARK = 9;

// A triangle with its tip at the moment; filled for errors.
function mark(line, fill) {
  const ratio = devicePixelRatio;
  const small = Object.assign(document.createElement("canvas"), {
    width: Math.ceil(MARK * ratio),
    height: Math.ceil(MARK * ratio),
  });
  const pen = penOf(small);
  pen.scale(ratio, ratio);
  pen.moveTo(MARK / 2, MARK - 1);
  pen.lineTo(1, 1);
  pen.lineTo(MARK - 1, 1);
  pen.closePath();
  Object.assign(pen, { fillStyle: fill, strokeStyle: line, lineWidth: 1.4 });
  pen.fill();
  pen.stroke();
  return small;
}
