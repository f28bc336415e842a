// One element per item, in the order of the items. An element that stays is refilled in place, so that focus and
// selection survive a redraw.

// `create(item)` → an element; `fill(element, item)`; `key(item)` is unique. → a function that draws a list of items.
export function createRows(parent, { key, create, fill }) {
  const known = new Map();

  return (items) => {
    const named = new Set(items.map(key));
    for (const [id, node] of known) {
      if (named.has(id)) continue;
      node.remove();
      known.delete(id);
    }
    items.forEach((item, index) => {
      const node = known.get(key(item)) ?? create(item);
      known.set(key(item), node);
      fill(node, item);
      if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
    });
  };
}
