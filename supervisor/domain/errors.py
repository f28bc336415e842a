"""What the domain says no with. Sorted by whose fault it is; the hint is the HTTP status a web layer would use."""

from enum import StrEnum

import attrs


class Refusal(StrEnum):
    """Why a command was refused; the value is stable and part of the API."""

    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    INVALID = "invalid"
    CAP_REACHED = "cap-reached"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"


STATUS: dict[Refusal, int] = {
    Refusal.UNKNOWN: 404,
    Refusal.CONFLICT: 409,
    Refusal.FORBIDDEN: 403,
    Refusal.INVALID: 422,
    Refusal.CAP_REACHED: 429,
    Refusal.RATE_LIMITED: 429,
    Refusal.UNAVAILABLE: 503,
}


@attrs.frozen
class Rejected(Exception):
    """A command that changes nothing, with a reason for the one who sent it."""

    refusal: Refusal
    reason: str
    retry_after_s: float | None = None

    @property
    def status(self) -> int:
        """The HTTP status that says the same."""
        return STATUS[self.refusal]

    def __str__(self) -> str:
        return self.reason


class IllegalTransition(Exception):
    """An event that its life cycle does not allow: a bug in `decide`, or a journal that is not ours."""
