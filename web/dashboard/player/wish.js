// Whether a tile's player should hold a connection now. Pure, so that "the back end decides" is one readable line.

// No new offer is sent to a camera that has no picture to give (`idle` ones start on demand);
// a connection that exists is kept, and its picture resumes by itself.
const CAN_START = new Set(["live", "idle"]);

// Whoever asked for a camera that is open only on demand takes part in what it is queued or opened for already.
const ON_ITS_WAY = new Set(["queued", "connecting", "stalled"]);

export const isAgreed = ({ camera, paused, asked }) => asked || (camera.watch === true && !paused);

export function wantsPicture({ camera, paused, asked, visible, holding }) {
  const can = CAN_START.has(camera.state) || (asked && ON_ITS_WAY.has(camera.state));
  return isAgreed({ camera, paused, asked }) && visible && (holding || can);
}

// Nobody here watches a camera that is not meant to be open all the time: its last picture is shown, and left at that.
export const isResting = ({ camera, paused, asked }) => camera.mode !== "always" && !isAgreed({ camera, paused, asked });
