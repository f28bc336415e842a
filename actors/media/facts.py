"""Collects the facts about a camera that its source and its hub know. Nothing here is called for each packet.

Rules of this file:
- All texts pass `_clean`: a camera may write anything there, also its password.
- Facts belong to one connection. They stay until the next one has a fact: an attempt may fail before that.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from supervisor.base.clock import Clock, SystemClock
from supervisor.base.printable import brief
from supervisor.base.redact import redact_words
from supervisor.ports.facts import MAX_TEXT, CameraFacts, MetOddity

from .media import AudioFormat
from .oddities import Oddity

Measure = Callable[[], Mapping[str, object]]
"""Returns the measurements of the moment: values of fields of `CameraFacts`."""
NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970 (RFC 5905, section 6)."""
NO_CLOCK_S = 10 * 365 * 86_400
"""A camera's clock that is further away is not set: it counts from its start, or from 1970."""


class SourceFacts:
    """The facts of one hub. Its source notes them; `current` returns them."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._known = CameraFacts()
        self._is_past = False
        """Whether the known facts are those of the last connection: the new one has none yet."""
        self._secrets: tuple[str, ...] = ()
        self._measure: Measure = dict

    def begin(self, secrets: Iterable[str] = ()) -> None:
        """Begin a new connection. `secrets` are hidden in all its texts."""
        self._is_past, self._secrets, self._measure = True, tuple(secrets), dict

    def hide(self, user: str, password: str) -> None:
        """Hide a password also as the camera receives it: in base64 with its user (RFC 7617)."""
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._secrets = (*self._secrets, login, login.rstrip("="), *([password] if password else []))

    def note(self, **facts: object) -> None:
        """Note the values of some fields of `CameraFacts`. The first ones of a connection replace the last one's."""
        known, self._is_past = CameraFacts() if self._is_past else self._known, False
        self._known = replace(known, **{name: self._clean(value) for name, value in facts.items()})

    def hear_answer(self, method: str, seconds: float, server: str) -> None:
        """Note an answer to a request: its method, its round trip, and the `Server` header if there is one."""
        self._known = replace(self._known, round_trip_s=round(seconds, 4))
        if self._known.slowest_s is None or seconds > self._known.slowest_s:
            self._known = replace(self._known, slowest_s=round(seconds, 4), slowest=method)
        if server and not self._known.server:
            self.note(server=server)

    def hear_clock(self, ntp: float) -> None:
        """Note the time of the camera's clock, in seconds since 1900, at this moment."""
        skew_s = ntp - NTP_EPOCH_S - self._clock.wall_ns() / 1e9
        self._known = replace(self._known, clock_skew_s=round(skew_s, 3) if abs(skew_s) < NO_CLOCK_S else None)

    def measured_by(self, measure: Measure) -> None:
        """Set the function that returns the measurements of the connection."""
        self._measure = measure

    def keep_measurements(self) -> None:
        """Keep the last measurements, because the connection ends."""
        self.note(**self._measure())
        self._measure = dict

    def current(self, **more: object) -> CameraFacts:
        """Return the facts of this moment. `more` are fields that the hub knows."""
        return replace(self._known, **{**more, **self._measure()})

    def _clean(self, value: object) -> object:
        """Return a value, a text as one line without secrets."""
        return brief(redact_words(value, self._secrets), MAX_TEXT) if isinstance(value, str) else value


def audio_use(audio: AudioFormat | None, mute: str) -> str:
    """Return what becomes of the audio, for people. `mute` is the reason why viewers get no audio, if one is known."""
    if audio is None:
        return mute
    return "passed on unchanged" if audio.is_passed else "transcoded to Opus while somebody listens"


def met(oddities: Counter[Oddity]) -> tuple[MetOddity, ...]:
    """Return the oddities that were met, the most frequent first."""
    return tuple(
        MetOddity(code=oddity.code, does=oddity.does, handled=oddity.handled, count=count)
        for oddity, count in oddities.most_common()
    )
