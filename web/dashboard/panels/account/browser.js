// The browser and the system in the name that a browser gives itself. Pure.

const BROWSERS = [
  ["Edg/", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["Version/", "Safari"],
];
const SYSTEMS = ["Android", "iPhone", "iPad", "Windows", "CrOS", "Mac OS X", "Linux"];
const MOST = 60;

export function browserOf(agent) {
  const [mark, name] = BROWSERS.find(([text]) => agent.includes(text)) ?? ["", ""];
  if (!name) return agent.slice(0, MOST) || "–";
  const version = /^\d+/.exec(agent.slice(agent.indexOf(mark) + mark.length)) ?? "";
  const system = SYSTEMS.find((text) => agent.includes(text));
  return [`${name} ${version}`.trim(), system].filter(Boolean).join(", ");
}
