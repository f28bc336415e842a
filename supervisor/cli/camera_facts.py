"""The facts about a camera in words, one line for each that is known.

The page says the same: `web/dashboard/panels/large/about.js` has these labels and words. A test compares them.
"""

from ..domain.values import name_of
from ..domain.words import plural
from ..ports.facts import CameraFacts


def rows_of(facts: CameraFacts) -> list[tuple[str, str]]:
    """Return the label and the words of each fact; without words where it is unknown."""
    return [
        ("software", facts.server),
        ("described as", _joined(facts.title, facts.information, facts.tool)),
        ("video", _video(facts)),
        ("GOP", _gop(facts)),
        ("audio", _audio(facts)),
        ("transport", _joined(facts.transport, facts.encryption, facts.tls)),
        ("certificate", facts.certificate and f"SHA-256 {facts.certificate}"),
        ("round trip", _round_trip(facts)),
        ("packets", _packets(facts)),
        ("clock", _clock(facts)),
    ]


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def _video(facts: CameraFacts) -> str:
    if not facts.codec:
        return ""
    profile = facts.profile and f"{facts.profile} profile"
    level = facts.level and f"level {facts.level}"
    size = "" if None in (facts.width, facts.height) else f"{facts.width}×{facts.height}"
    return _joined(name_of(facts.codec), profile, level, size, f"{facts.fps:.1f} fps", _bitrate(facts.bitrate))


def _bitrate(bits: int) -> str:
    return f"{bits / 1e6:.1f} Mb/s" if bits >= 1e6 else f"{bits / 1e3:.0f} kb/s"


def _gop(facts: CameraFacts) -> str:
    if not facts.codec:
        return ""
    if facts.gop_frames is None or facts.gop_s is None:
        length = "no second key frame yet"
    else:
        length = f"{plural(facts.gop_frames, 'frame')} in {facts.gop_s:.2f} s"
    return _joined(length, "with B-frames" if facts.b_frames else "no B-frames")


def _audio(facts: CameraFacts) -> str:
    if not facts.audio:
        return facts.audio_use or ("none" if facts.codec else "")
    rate = "" if facts.audio_rate is None else f"{facts.audio_rate / 1000:g} kHz"
    channels = "" if facts.audio_channels is None else plural(facts.audio_channels, "channel")
    return _joined(name_of(facts.audio), rate, channels, facts.audio_use)


def _round_trip(facts: CameraFacts) -> str:
    if facts.round_trip_s is None or facts.slowest_s is None:
        return ""
    last, slowest = (f"{seconds * 1000:.0f} ms" for seconds in (facts.round_trip_s, facts.slowest_s))
    return f"{last}; slowest answer: {slowest} ({facts.slowest})"


def _packets(facts: CameraFacts) -> str:
    if facts.loss is None or facts.jitter_s is None:
        return ""
    return f"{facts.loss * 100:.2f} % lost, jitter {facts.jitter_s * 1000:.1f} ms"


def _clock(facts: CameraFacts) -> str:
    if facts.clock_skew_s is None:
        return ""
    seconds = f"{abs(facts.clock_skew_s):.1f}"
    if seconds == "0.0":
        return "right to 0.1 s"
    return f"{seconds} s {'ahead of' if facts.clock_skew_s > 0 else 'behind'} banken"
