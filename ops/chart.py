"""Write the page's tables of the timeline from `supervisor/forensics/chart.py`: `python3 ops/chart.py`.

A test compares.
"""

import json
from pathlib import Path

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from supervisor.forensics.chart import APART, DAY_S, NO_DATA, SHAPES, STATES, STEPS_S

PANEL = Path(__file__).parents[1] / "web" / "dashboard" / "panels" / "timeline"
PAGE = PANEL / "chart.js"
MODULE = """// Made from supervisor/forensics/chart.py by ops/chart.py.
import {{ n }} from "../../i18n.js";

// [state, colour, pattern]; the later, the graver. A state that is not here looks like the first.
export const STATES = [
{states}
];

// The severities of marks that are drawn differently; the later, the graver. Others look like the first.
export const SHAPES = {shapes};

// The word for a time of which nothing is known.
export const NO_DATA = n({no_data});

// The distance between marks, in pixels.
export const APART = {apart};

// The steps of the axis, in seconds. Longer ones are multiples of the last.
export const STEPS_S = [
  {steps},
];

export const DAY_S = {day};
"""


def page() -> str:
    states = [f"  {json.dumps([name, f'--{look.colour}', look.pattern])}," for name, look in STATES.items()]
    return MODULE.format(
        states="\n".join(states), shapes=json.dumps(SHAPES), no_data=json.dumps(NO_DATA), apart=APART,
        steps=", ".join(map(str, STEPS_S)), day=DAY_S,
    )  # fmt: skip


if __name__ == "__main__":
    write(PAGE, page())
