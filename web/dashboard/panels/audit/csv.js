// The rows of the audit for a spreadsheet. Pure.
const FORMULA = /^[=+\-@\t\r]/;

// A spreadsheet takes some beginnings for a formula: no cell has one.
const cellOf = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export function csvOf(rows) {
  const names = Object.keys(rows[0] ?? {});
  return [names, ...rows.map((row) => names.map((name) => row[name]))]
    .map((cells) => `${cells.map(cellOf).join(",")}\r\n`)
    .join("");
}
