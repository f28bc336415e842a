"""How well something is."""

from enum import StrEnum


class Verdict(StrEnum):
    """From well to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"
