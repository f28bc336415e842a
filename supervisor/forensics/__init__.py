"""Analyses of a journal: causes, timeline, differences between states, and statistics.

Rules of this package:
- Pure over a `Reader`: nothing is printed, nothing is written, no clock is asked.
- States come from `evolve`, phases from the life cycles: the meaning of an event is defined there, and only once.
- Results are frozen values of plain types, so that they are JSON as they are.
"""
