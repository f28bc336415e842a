// Paints a timeline on a canvas. It receives everything to paint, and keeps no state of it.
import { SHAPES } from "./chart.js";
import { AXIS, BELOW, boxes, joined, shorten } from "./lanes.js";
import { createStrip } from "./strip.js";
import { MARK, watchTheme } from "./theme.js";
import { labelOf, ticks, xOf } from "./view.js";
import { t } from "../../i18n.js";

const WORD_PX = 64;
const PATTERN_PX = 8;
const TICK_PX = 90;

export function createPainter(canvas) {
  const context = canvas.getContext("2d");
  const readTheme = watchTheme(context);
  const strip = createStrip();

  // → the milliseconds that it took.
  return function paint({ laid, gaps, view, width, height, left, cursor, chosen }) {
    const begun = performance.now();
    const theme = readTheme();
    const inner = Math.max(1, width - left);
    const x = xOf(view, inner);
    fit();
    context.clearRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(left, 0, inner, height);
    context.clip();
    context.translate(left, 0);
    drawAxis();
    for (const gap of gaps) {
      context.fillStyle = theme.hatch;
      context.fillRect(x(gap.begin), AXIS, Math.max(1, x(gap.end) - x(gap.begin)), height - AXIS);
    }
    strip.begin(inner, laid.rows.length);
    const wide = laid.rows.map(sort);
    strip.end();
    context.imageSmoothingEnabled = false;
    laid.rows.forEach((row, index) => drawRow(row, index, wide[index]));
    drawMarks(laid.general, AXIS - MARK - 1);
    if (cursor !== null) {
      context.fillStyle = theme.accent;
      context.fillRect(x(cursor) - 1, 0, 2, height);
    }
    context.restore();
    laid.rows.forEach(drawName);
    return performance.now() - begun;

    function fit() {
      const [wide, high] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
      if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    }

    function drawAxis() {
      context.font = `11px ${theme.font}`;
      const { times, step } = ticks(view, inner, TICK_PX);
      for (const at of times) {
        context.fillStyle = theme.line;
        context.fillRect(x(at), 0, 1, height);
        context.fillStyle = theme["ink-soft"];
        context.fillText(labelOf(new Date(at), step), x(at) + 4, 12);
      }
    }

    // Puts the narrow spans onto the strip. → the wide ones.
    function sort(row, index) {
      const found = [];
      boxes(row, view, inner, (from, wide, rank) => {
        if (wide < PATTERN_PX) strip.put(index, from, wide, theme.states[rank].pixel);
        else found.push([from, wide, theme.states[rank]]);
      });
      return found;
    }

    function drawRow(row, index, found) {
      const high = row.height - (row.lane.kind === "camera" ? 8 : 5);
      const top = row.y + (row.height - high) / 2;
      strip.draw(context, index, top, high);
      context.font = `11px ${theme.font}`;
      const middle = top + (row.below?.begin.length ? high - BELOW : high) / 2;
      for (const [from, wide, { fill, pattern, name, colour }] of found) {
        context.fillStyle = fill;
        if (pattern === "line") context.fillRect(from, middle - 1.5, wide, 3);
        else context.fillRect(from, top, wide - 1, high);
        if (wide < WORD_PX || high < 14) continue;
        const word = context.measureText(t(name)).width;
        if (word + 10 > wide) continue;
        context.fillStyle = theme.surface;
        context.fillRect(from + 4, middle - 7, word + 6, 14);
        context.fillStyle = colour;
        context.fillText(t(name), from + 7, middle + 4);
      }
      if (row.below)
        boxes(row.below, view, inner, (from, wide, rank) => {
          context.fillStyle = theme.surface;
          context.fillRect(from, top + high - BELOW - 1, Math.max(2, wide), BELOW + 2);
          context.fillStyle = theme.states[rank].fill;
          context.fillRect(from, top + high - BELOW, Math.max(2, wide), BELOW);
        });
      if (row.lane.name === chosen?.lane.name && row.lane.kind === chosen.lane.kind && chosen.span) {
        const from = Math.max(1, x(chosen.span.begin));
        context.strokeStyle = theme.ink;
        context.lineWidth = 2;
        context.strokeRect(from, top - 1, Math.max(3, Math.min(inner - 1, x(chosen.span.end)) - from), high + 2);
      }
      drawMarks(row.marks, row.y);
    }

    function drawMarks(marks, y) {
      for (const { x: at, mark } of joined(marks, view, inner))
        context.drawImage(theme.marks[mark.severity] ?? theme.marks[SHAPES[0]], at - MARK / 2, y, MARK, MARK);
    }

    function drawName({ lane, inner: below, open, y, height: high }) {
      const camera = lane.kind === "camera";
      context.fillStyle = lane.name === chosen?.lane.name ? theme.accent : camera ? theme.ink : theme["ink-soft"];
      context.font = camera ? `600 12px ${theme.font}` : `10px ${theme.font}`;
      const sign = below ? (open ? "▾ " : "▸ ") : "   ";
      const text = camera ? sign + lane.name : `${lane.kind === "peer" ? t("viewer") : t("child")} ${lane.name}`;
      const from = camera ? 8 : 22;
      context.fillText(
        shorten(text, left - from - 4, (shown) => context.measureText(shown).width),
        from,
        y + high / 2 + 4,
      );
    }
  };
}
