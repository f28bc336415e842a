// Packs the tiles so that the whole wall is seen at once and each picture is as large as it can be.
// Below a readable width it gives up and lets the wall scroll.
import { on } from "./dom.js";

const RATIO = 16 / 9;

// → {columns, width}: width null means "share the row". Pure; lengths in CSS pixels.
export function pack({ count, width, height, gap, caption, least }) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows - caption) * RATIO;
    const fits = Math.floor(Math.min(byWidth, byHeight));
    if (fits > best.width) best = { columns, width: fits };
  }
  if (best.width >= least) return best;
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
