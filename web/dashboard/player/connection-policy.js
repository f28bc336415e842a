// Whether a tile's player should hold a connection now. Pure, so that "the back end decides" is one readable line.

// A camera without pictures gets no new offer (an `idle` one starts on demand); an existing connection is kept, and its
// picture resumes without a new offer.
const CAN_START = new Set(["live", "idle"]);

// A viewer who asked for an on-demand camera joins the queue entry or the connection attempt that exists already.
const ON_ITS_WAY = new Set(["queued", "connecting", "stalled"]);

export const isAgreed = ({ camera, paused, asked }) => asked || (camera.watch === true && !paused);

export function wantsPicture({ camera, paused, asked, visible, holding }) {
  const can = CAN_START.has(camera.state) || (asked && ON_ITS_WAY.has(camera.state));
  return isAgreed({ camera, paused, asked }) && visible && (holding || can);
}

// A camera that is open for others has newer pictures than the displayed one. Times in milliseconds.
export const REFRESH_MS = 10_000;

export const isOld = ({ camera, askedAt, now }) => camera.state === "live" && now - askedAt >= REFRESH_MS;

// Nobody on this page watches a camera that need not be open all the time: its last snapshot is displayed.
export const isResting = ({ camera, paused, asked }) =>
  camera.mode !== "always" && !isAgreed({ camera, paused, asked });
