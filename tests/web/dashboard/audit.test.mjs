// The audit of the page: its bars over time, and its rows for a spreadsheet.
import assert from "node:assert/strict";
import { test } from "node:test";

import { csvOf } from "../../../web/dashboard/panels/audit/csv.js";
import { lanesOf, stretchOf } from "../../../web/dashboard/panels/audit/plot.js";

const row = (user, since, until, more = {}) => ({
  kind: "watched", user, camera: "gate", connected: true, since, until, lasted_s: 1, ...more,
});
const at = (text) => Date.parse(text);

test("a user has a lane with a bar for each row, and what is open ends now", () => {
  const rows = [
    row("anna", "2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z", { lasted_s: 60 }),
    row("ben", "2026-01-01T10:00:30Z", null, { lasted_s: 90 }),
    row("anna", "2026-01-01T10:02:00Z", "2026-01-01T10:02:01Z"),
    row("cleo", "2026-01-01T09:00:00Z", "2026-01-01T09:00:20Z", { connected: false }),
    { ...row("dora", "2026-01-01T08:00:00Z", null), kind: "login" },
  ];
  const lanes = lanesOf(rows, at("2026-01-01T10:02:00Z"));
  assert.deepEqual(lanes.map(({ user, bars }) => [user, bars.length]), [["ben", 1], ["anna", 2]]);
  assert.deepEqual(lanes[0].bars[0], {
    from: at("2026-01-01T10:00:30Z"), to: at("2026-01-01T10:02:00Z"), camera: "gate", open: true,
  });
  assert.deepEqual(stretchOf(lanes), { from: at("2026-01-01T10:00:00Z"), to: at("2026-01-01T10:02:01Z") });
  assert.equal(stretchOf([]), null);
});

test("a cell is no formula, and keeps commas, quotes and lines", () => {
  const text = csvOf([{ user: "=1+1", reason: 'he said "bye", and\nleft', bytes: 5, until: null }]);
  assert.equal(text, 'user,reason,bytes,until\r\n\'=1+1,"he said ""bye"", and\nleft",5,\r\n');
  assert.equal(csvOf([]), "\r\n");
});
