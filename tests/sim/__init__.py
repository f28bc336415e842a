"""Simulated days: the real actors, kernel, journal writer and reconciling, in virtual time, from one seed.

`world.py` puts it together, one file for each part of the world that is not ours. A story of your own begins with
`run_seeded(seed, story)` and `open_world(...)`; `test_stories.py` shows how.
"""
