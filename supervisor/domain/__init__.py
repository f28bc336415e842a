"""The pure domain model: commands in, events out, state folded from events.

No module of this package reads a clock, draws a random number or performs I/O: time, jitter and new ids come with
the commands. Therefore a replay is exact.
"""
