// Which tiles are in view. A tile counts as out of view only after a delay, so that scrolling past does not reconnect.

const LINGER_MS = 4000;

export function watchVisibility(onChange) {
  const timers = new Map();
  const forget = (node) => {
    clearTimeout(timers.get(node));
    timers.delete(node);
  };
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        forget(target);
        if (isIntersecting) onChange(target, true);
        else
          timers.set(
            target,
            setTimeout(() => onChange(target, false), LINGER_MS),
          );
      }
    },
    { threshold: 0.05 },
  );

  return {
    add: (node) => observer.observe(node),
    remove(node) {
      forget(node);
      observer.unobserve(node);
    },
  };
}
