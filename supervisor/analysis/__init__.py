"""What a journal can tell: why something happened, what was when, what changed, and how often.

Rules of this package:
- Pure over a `Reader`: nothing is printed, nothing is written, no clock is asked.
- States come from `evolve`, phases from the life cycles: what an event means is said elsewhere, and only once.
- What it finds are frozen values of plain things, so that they are JSON as they are.
"""
