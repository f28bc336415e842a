"""The pure heart: commands in, events out, state folded from events.

Nothing below this package reads a clock, draws a random number or touches the world: time, jitter and fresh ids
arrive inside commands. That is what makes replay exact.
"""
