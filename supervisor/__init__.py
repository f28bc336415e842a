"""Decides and remembers: the domain, the kernel, the journal and the supervision of actors."""

__version__ = "0.2.0"
