// The life of the page: it starts, is hidden and seen again, sleeps and wakes, is left and, from the browser's cache,
// comes back.
import { on } from "./dom.js";

// `start()`; `stop()`: nothing may continue on a page that was left; `seen(is)`; `wake()`: nothing that waited for the
// server, or stopped while the page slept, needs to wait longer.
export function attachLifecycle({ start, stop, seen, wake }) {
  on(window, "pagehide", stop);
  on(window, "pageshow", (event) => event.persisted && start());
  on(document, "visibilitychange", () => {
    seen(!document.hidden);
    if (!document.hidden) wake();
  });
  on(document, "resume", wake);
  on(window, "online", wake);
  start();
}
