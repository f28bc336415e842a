// Packs the tiles so that the whole wall is visible and each picture is as large as possible. Where the tiles would be
// too narrow, the wall scrolls at a comfortable width instead.
import { on } from "../../dom.js";

const RATIO = 16 / 9;

// → {columns, width}; width null: the tiles share the row. Pure. Lengths in CSS pixels: `tight` is the minimum width of
// a tile where all are visible, `least` where the wall scrolls.
export function pack({ count, width, height, gap, caption, least, tight = least }) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows - caption) * RATIO;
    const fits = Math.floor(Math.min(byWidth, byHeight));
    if (fits > best.width) best = { columns, width: fits };
  }
  if (best.width >= tight) return best;
  return { columns: Math.max(1, Math.min(count, Math.floor((width + gap) / (least + gap)))), width: null };
}

export function attachWall(stage, grid) {
  const wide = matchMedia("(min-width: 60rem)");
  let count = 0;

  function arrange() {
    const tile = grid.firstElementChild;
    if (!tile) return;
    const root = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const inner = getComputedStyle(grid);
    const { columns, width } = pack({
      count,
      width: stage.clientWidth - 2 * parseFloat(inner.paddingLeft),
      height: wide.matches ? stage.clientHeight - 2 * parseFloat(inner.paddingTop) : 0,
      gap: parseFloat(inner.columnGap),
      caption: tile.querySelector(".caption").offsetHeight + 2,
      least: (wide.matches ? 16 : 17) * root,
      tight: 14 * root,
    });
    grid.style.setProperty("--columns", columns);
    grid.style.setProperty("--tile", width === null ? "1fr" : `${width}px`);
    grid.dataset.columns = columns;
  }

  new ResizeObserver(arrange).observe(stage);
  on(wide, "change", arrange);
  return {
    columns: () => Number(grid.dataset.columns) || 1,
    resize(cameras) {
      if (cameras === count) return;
      count = cameras;
      arrange();
    },
  };
}
