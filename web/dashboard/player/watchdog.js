// Checks once a second whether frames are still decoded, and reports `frames` or `silent` with the seconds so far.
import { zonedTime } from "../format.js";
import { t } from "../i18n.js";

export function startWatchdog({ connection, report, cameraIsLive, period = 1000 }) {
  let decoded = 0;
  let silent = 0;
  let flowing = 0;
  let busy = false;
  const timer = setInterval(look, period);

  async function look() {
    if (busy) return;
    busy = true;
    const now = await framesDecoded(connection).catch(() => decoded);
    busy = false;
    if (connection.signalingState === "closed") return;
    if (now > decoded) {
      flowing += silent ? 0 : period / 1000;
      silent = 0;
      report({ type: "frames", seconds: flowing });
    } else if (silenceCounts(connection, cameraIsLive())) {
      flowing = 0;
      silent += period / 1000;
      report({
        type: "silent",
        seconds: silent,
        reason: t("no picture since {time}", { time: zonedTime(new Date(Date.now() - silent * 1000)) }),
      });
    } else {
      silent = 0;
    }
    decoded = now;
  }

  return { framesDecoded: () => decoded, stop: () => clearInterval(timer) };
}

// A camera that is not live sends nothing, and a hidden page may decode nothing: neither is a broken connection. A
// connection that was never established is broken whatever the camera does.
function silenceCounts(connection, live) {
  if (connection.connectionState !== "connected") return true;
  return live && !document.hidden;
}

async function framesDecoded(connection) {
  let frames = 0;
  for (const entry of (await connection.getStats()).values()) {
    if (entry.type === "inbound-rtp" && entry.kind === "video") frames += entry.framesDecoded ?? 0;
  }
  return frames;
}
