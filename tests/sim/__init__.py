"""Simulated days: the real actors, kernel, journal writer and reconciliation, in virtual time, from one seed.

`world.py` assembles the simulation; each external part of the world is simulated by one file. A new story begins with
`run_seeded(seed, story)` and `open_world(...)`; `test_stories.py` shows how.
"""
