"""The verdict on the health of a part."""

from enum import StrEnum


class Verdict(StrEnum):
    """In order from best to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"
