// The question for detections, and the events that change its answer. Pure.
import { about } from "../../events.js";

const LIMIT = 60;

// The query for the selected filters; an empty filter is omitted.
export function queryOf({ camera = "", label = "" }, limit = LIMIT) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (camera) query.set("camera", camera);
  if (label.trim()) query.set("label", label.trim());
  return query;
}

export const isDetection = ({ type }) => about(type).entity === "detection";
