// Paints a timeline on a canvas. It is given what to paint, and remembers nothing of it.
import { clockDay, clockTime } from "../format.js";
import { AXIS, boxes } from "./lanes.js";
import { createStrip } from "./strip.js";
import { MARK, watchTheme } from "./theme.js";
import { ticks, xOf } from "./view.js";
import { t } from "../i18n.js";

const WORD_PX = 64;
const PATTERN_PX = 8;
// Marks nearer to each other than this are one.
const APART = 7;

export function createPainter(canvas) {
  const context = canvas.getContext("2d");
  const readTheme = watchTheme(context);
  const strip = createStrip();

  // → milliseconds that it took.
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
      const long = view.to - view.from > 86_400_000;
      for (const at of ticks(view, inner, 90)) {
        context.fillStyle = theme.line;
        context.fillRect(x(at), 0, 1, height);
        context.fillStyle = theme["ink-soft"];
        const date = new Date(at);
        context.fillText(long ? `${clockDay(date)} ${clockTime(date).slice(0, 5)}` : clockTime(date), x(at) + 4, 12);
      }
    }

    // The narrow ones onto the strip; → the wide ones.
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
      for (const [from, wide, { fill, pattern, name, colour }] of found) {
        context.fillStyle = fill;
        if (pattern === "line") context.fillRect(from, top + high / 2 - 1.5, wide, 3);
        else context.fillRect(from, top, wide - 1, high);
        if (wide < WORD_PX || high < 14) continue;
        const word = context.measureText(t(name)).width;
        context.fillStyle = theme.surface;
        context.fillRect(from + 4, top + 2, word + 6, high - 4);
        context.fillStyle = colour;
        context.fillText(t(name), from + 7, top + high / 2 + 4);
      }
      if (row.lane.name === chosen?.lane.name && row.lane.kind === chosen.lane.kind && chosen.span) {
        const from = Math.max(1, x(chosen.span.begin));
        context.strokeStyle = theme.ink;
        context.lineWidth = 2;
        context.strokeRect(from, top - 1, Math.max(3, Math.min(inner - 1, x(chosen.span.end)) - from), high + 2);
      }
      drawMarks(row.marks, row.y);
    }

    // Of those that would stand in one place an error is drawn rather than what is less.
    function drawMarks(marks, y) {
      let shown = null;
      const draw = () => shown && context.drawImage(theme.marks[shown.severity] ?? theme.marks.notice, shown.x - MARK / 2, y, MARK, MARK);
      for (const { at, severity } of marks) {
        const mark = { x: x(at), severity };
        if (mark.x < -MARK) continue;
        if (mark.x > inner + MARK) break;
        if (!shown || mark.x - shown.x >= APART) {
          draw();
          shown = mark;
        } else if (severity === "error") shown.severity = severity;
      }
      draw();
    }

    function drawName({ lane, inner: below, open, y, height: high }) {
      const camera = lane.kind === "camera";
      context.fillStyle = lane.name === chosen?.lane.name ? theme.accent : camera ? theme.ink : theme["ink-soft"];
      context.font = camera ? `600 12px ${theme.font}` : `10px ${theme.font}`;
      const sign = below ? (open ? "▾ " : "▸ ") : "   ";
      const text = camera ? sign + lane.name : `${lane.kind === "peer" ? t("viewer") : t("child")} ${lane.name.slice(0, 6)}`;
      context.fillText(text, camera ? 8 : 22, y + high / 2 + 4, left - (camera ? 12 : 26));
    }
  };
}
