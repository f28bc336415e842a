"""The errors of the domain, with codes by cause. Each code has the HTTP status that an HTTP layer uses."""

from enum import StrEnum

import attrs


class Refusal(StrEnum):
    """The code of a rejected command. The value is stable and part of the API."""

    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    INVALID = "invalid"
    CAP_REACHED = "cap-reached"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    LOCKOUT = "lockout"
    """The command may lock an account at a camera. It is accepted if it is sent again with a confirmation."""
    PRIVATE = "private"
    """The camera is switched off for privacy."""
    FULL = "full"
    """As many viewers as a link permits have it open."""


STATUS: dict[Refusal, int] = {
    Refusal.UNKNOWN: 404,
    Refusal.CONFLICT: 409,
    Refusal.FORBIDDEN: 403,
    Refusal.INVALID: 422,
    Refusal.CAP_REACHED: 429,
    Refusal.RATE_LIMITED: 429,
    Refusal.UNAVAILABLE: 503,
    Refusal.LOCKOUT: 409,
    Refusal.PRIVATE: 409,
    Refusal.FULL: 403,
}


@attrs.frozen
class Rejected(Exception):
    """A rejected command, which changes nothing, with a reason for its sender."""

    refusal: Refusal
    reason: str
    retry_after_s: float | None = None

    @property
    def status(self) -> int:
        """The equivalent HTTP status."""
        return STATUS[self.refusal]

    def __str__(self) -> str:
        return self.reason


class IllegalTransition(Exception):
    """An event that the life cycle does not allow: a bug in `decide`, or a journal that is not ours."""
