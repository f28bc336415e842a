// The words of the page for the figures of cameras: {name: figures} on standard input, {name: words} on standard output.
import { readFileSync } from "node:fs";

import { figuresOf } from "../../web/dashboard/panels/large/availability.js";

const figures = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(figures).map(([name, one]) => [name, figuresOf(one)]))));
