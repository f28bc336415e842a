// The controls of the page, and obstacles to pressing them. Runs in the page; each check returns the violations.
globalThis.reach = (() => {
  const LEAST = 23.9;
  const text = (node) => node.dataset.part ?? node.outerHTML.slice(0, 80);
  const boxOf = (node) => node.getBoundingClientRect();

  // Links within a sentence do not count: they are as high as the line (WCAG 2.2, 2.5.8).
  const controls = () =>
    [...(document.querySelector("dialog[open]") ?? document.body).querySelectorAll("button, select, summary, input, a[href]")]
      .filter((node) => node.checkVisibility({ visibilityProperty: true }))
      .filter((node) => !node.matches("a") || getComputedStyle(node).display !== "inline");

  function isOver(one, other) {
    const [a, b] = [boxOf(one), boxOf(other)];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    return Math.min(wide, high) > 1; // boxes with fractional sizes may overlap by less than a pixel
  }

  // The elements that the focus has come to, and whether it has come to one of them again.
  let walked = new Set();
  let present = new Set(); // the elements that there were when the walk began
  let round = false;
  addEventListener("focusin", ({ target }) => ((round ||= walked.has(target)), walked.add(target)), true);

  // Selectors by which a test may name a control.
  function namesOf(node) {
    if (node.dataset.part) return [node.dataset.part];
    const holder = node.parentElement.closest("[data-part], [id]");
    const inside = holder ? `[data-part=${holder.dataset.part ?? holder.id}] ${node.localName}` : node.localName;
    return [...[...node.classList].map((name) => `.${name}`), ...(node.id ? [`#${node.id}`] : []), inside];
  }

  return {
    walk() {
      walked = new Set();
      present = new Set(document.querySelectorAll("*"));
      round = false;
      document.activeElement?.blur();
    },

    isRound: () => round,

    // The facts about one control; null for one that has gone meanwhile.
    control(node) {
      if (!node.checkVisibility()) return null;
      const { width, height } = boxOf(node.closest("label") ?? node);
      const inText = node.matches("a") && getComputedStyle(node).display === "inline";
      return {
        names: namesOf(node),
        walked: walked.has(node) || !present.has(node),
        stops: node.tabIndex >= 0,
        small: !inText && Math.min(width, height) < LEAST ? `${width.toFixed(1)} x ${height.toFixed(1)}` : "",
      };
    },

    // A field with a label can be pressed by its label, too.
    small: () =>
      controls()
        .map((node) => ({ node, box: boxOf(node.closest("label") ?? node) }))
        .filter(({ box: { width, height } }) => width > 0 && height > 0 && Math.min(width, height) < LEAST)
        .map(({ node, box }) => `${text(node)}: ${box.width.toFixed(1)} x ${box.height.toFixed(1)}`),

    wide: () => (document.documentElement.scrollWidth > innerWidth ? [`${document.documentElement.scrollWidth} pixels`] : []),

    unreached: () =>
      [...document.querySelectorAll(".opener, [data-part=drawer-close]")]
        .filter((node) => node.checkVisibility())
        .filter((node) => {
          node.scrollIntoView({ block: "nearest" });
          const { left, right, top, height } = boxOf(node);
          return left < 0 || right > innerWidth || !node.contains(document.elementFromPoint((left + right) / 2, top + height / 2));
        })
        .map(text),

    coveredBy(name) {
      const cover = document.querySelector(`[data-part=${name}]`);
      if (!cover.checkVisibility()) return [`${name} is not shown`];
      return controls().filter((node) => isOver(cover, node)).map(text);
    },

    show(view) {
      for (const opener of document.querySelectorAll(".opener")) {
        const wanted = opener.dataset.part === `open-${view}`;
        if (wanted !== (opener.getAttribute("aria-expanded") === "true")) opener.click();
      }
    },

    // Texts drawn on a canvas from now on, with the number of arguments of each.
    drawn() {
      const kept = [];
      const stock = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (...given) {
        kept.push({ text: given[0], given: given.length });
        return stock.apply(this, given);
      };
      return kept;
    },
  };
})();
