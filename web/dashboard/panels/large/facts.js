// Figures of a connection, from the browser's statistics (W3C, webrtc-stats). Pure.
import { bitrate, codecName, resolution } from "../../format.js";

export const FACTS = ["codec", "resolution", "rate", "bits", "roundTrip", "loss", "delay"];

// A measurement, from the map of getStats(): only the values that the facts need.
export function measureOf(stats) {
  const entries = [...stats.values()];
  const video = entries.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
  const pair =
    entries.find(({ type, nominated, state }) => type === "candidate-pair" && (nominated || state === "succeeded")) ??
    {};
  return {
    at: video.timestamp ?? 0,
    codec: stats.get(video.codecId)?.mimeType?.replace(/^video\//i, "") ?? null,
    width: video.frameWidth ?? 0,
    height: video.frameHeight ?? 0,
    frames: video.framesDecoded ?? 0,
    bytes: video.bytesReceived ?? 0,
    received: video.packetsReceived ?? 0,
    lost: video.packetsLost ?? 0,
    taken: video.totalProcessingDelay ?? 0,
    roundTrip: pair.currentRoundTripTime ?? null,
  };
}

// The changes between two measurements in words; null where unknown.
export function factsOf(before, now) {
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  const over = (name) => (seconds > 0 && now[name] >= before[name] ? (now[name] - before[name]) / seconds : null);
  const rate = over("frames");
  const bits = over("bytes");
  return {
    codec: now.codec && codecName(now.codec),
    resolution: now.width ? resolution(now.width, now.height) : null,
    rate: rate === null ? null : `${rate.toFixed(1)} fps`,
    bits: bits === null ? null : bitrate(bits * 8),
    roundTrip: now.roundTrip === null ? null : milliseconds(now.roundTrip),
    loss: before ? share(now.lost - before.lost, now.received - before.received) : null,
    delay:
      before && now.frames > before.frames
        ? milliseconds((now.taken - before.taken) / (now.frames - before.frames))
        : null,
  };
}

const milliseconds = (seconds) => `${Math.round(seconds * 1000)} ms`;

// A late packet is subtracted from the losses, so a difference may be negative.
const share = (lost, received) =>
  received + lost > 0 ? `${((100 * Math.max(0, lost)) / (received + Math.max(0, lost))).toFixed(1)} %` : null;
