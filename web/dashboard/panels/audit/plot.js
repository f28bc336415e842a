// Viewing over time: a lane for each user, a bar for each row. The table beside it has the same as text.
import { set } from "../../dom.js";

const SVG = "http://www.w3.org/2000/svg";
const LANE = 22;
const LEFT = 130;
const WIDTH = 960;
const MOST = 12;
const NAME = 18;

// Lanes of the rows that were watched: the users with the most time first. `now` ends what is open. Pure.
export function lanesOf(rows, now) {
  const lanes = new Map();
  for (const row of rows) {
    if (row.kind !== "watched" || !row.connected) continue;
    const lane = lanes.get(row.user) ?? { user: row.user, total: 0, bars: [] };
    const [from, to] = [Date.parse(row.since), row.until === null ? now : Date.parse(row.until)];
    lane.bars.push({ from, to, camera: row.camera, open: row.until === null });
    lane.total += row.lasted_s;
    lanes.set(row.user, lane);
  }
  return [...lanes.values()].sort((one, other) => other.total - one.total).slice(0, MOST);
}

// The stretch that the lanes cover; null without a bar. Pure.
export function stretchOf(lanes) {
  const bars = lanes.flatMap((lane) => lane.bars);
  if (!bars.length) return null;
  const [from, to] = [Math.min(...bars.map((bar) => bar.from)), Math.max(...bars.map((bar) => bar.to))];
  return { from, to: Math.max(to, from + 1000) };
}

function made(name, attributes, text = null) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) set(node, key, value);
  if (text !== null) node.textContent = text;
  return node;
}

// `words(bar)`: the tip of a bar; `time(ms)`: a time in words.
export function draw(svg, lanes, { words, time }) {
  const stretch = stretchOf(lanes);
  svg.toggleAttribute("hidden", stretch === null);
  if (stretch === null) return svg.replaceChildren();
  const height = lanes.length * LANE + LANE;
  const x = (at) => LEFT + ((at - stretch.from) / (stretch.to - stretch.from)) * (WIDTH - LEFT);
  set(svg, "viewBox", `0 0 ${WIDTH} ${height}`);
  const nodes = lanes.flatMap(({ user, bars }, index) => [
    made("text", { x: 0, y: index * LANE + 15 }, user.length > NAME ? `${user.slice(0, NAME - 1)}…` : user),
    made("line", { x1: LEFT, x2: WIDTH, y1: (index + 1) * LANE, y2: (index + 1) * LANE }),
    ...bars.map((bar) => {
      const width = Math.max(2, x(bar.to) - x(bar.from));
      const rect = made("rect", { x: x(bar.from), y: index * LANE + 4, width, height: LANE - 8, rx: 2 });
      rect.toggleAttribute("data-open", bar.open);
      rect.append(made("title", {}, words(bar)));
      return rect;
    }),
  ]);
  const ends = [
    made("text", { x: LEFT, y: height - 6 }, time(stretch.from)),
    made("text", { x: WIDTH, y: height - 6, "text-anchor": "end" }, time(stretch.to)),
  ];
  svg.replaceChildren(...nodes, ...ends);
}
