"""Decoding outside the daemon: one child process that makes JPEGs and detects motion, and the actor that runs it.

`program.py`, `codec.py` and `sandbox.py` run in the child, `wire.py` on both sides, the other files in the daemon.
"""
