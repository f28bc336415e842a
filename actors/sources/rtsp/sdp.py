"""What a camera says it sends: its description, as far as it is needed to choose from. Pure.

A description is never refused for a line that is not understood; too large a one is.
Source: RFC 8866 (SDP), RFC 2326, appendix C (control addresses); RFC 3551, section 6 (static payload types).
"""

import re
from collections.abc import Mapping

import attrs

MAX_BYTES = 16 * 1024
"""Of a description: up to 0.25 µs for each byte of it. Cameras send 1 to 3 kB."""
MAX_LINES = 2000
MAX_MEDIA = 32
MAX_FORMATS = 32

_ENCODING = re.compile(r"[A-Z0-9._+-]{1,40}")
_STATIC = {
    0: ("PCMU", 8000, 1), 3: ("GSM", 8000, 1), 8: ("PCMA", 8000, 1), 9: ("G722", 8000, 1), 14: ("MPA", 90_000, 1),
    26: ("JPEG", 90_000, 1), 32: ("MPV", 90_000, 1), 33: ("MP2T", 90_000, 1),
}  # fmt: skip


class DescriptionError(ValueError):
    """A description beyond all bounds."""


@attrs.frozen
class Format:
    """One payload type: which coding (in upper case), its clock, its channels, what `fmtp` says more of it."""

    number: int
    encoding: str
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    """Names in lower case."""


@attrs.define
class Media:
    kind: str
    """`video`, `audio`, `application`."""
    protocol: str
    numbers: tuple[int, ...] = ()
    control: str = ""
    direction: str = ""
    _maps: dict[int, str] = attrs.field(factory=dict)
    _parameters: dict[int, str] = attrs.field(factory=dict)

    def formats(self) -> list[Format]:
        """In the camera's order; those of which nothing is known are left out."""
        found = (self._format(number) for number in self.numbers)
        return [known for known in found if known is not None]

    def _format(self, number: int) -> Format | None:
        encoding, rate, channels = _STATIC.get(number, ("", 0, 1))
        if number in self._maps:
            name, *rest = self._maps[number].split("/")
            encoding = name.strip().upper()
            rate = _number(rest[0]) if rest else 90_000
            channels = _number(rest[1]) if len(rest) > 1 else 1
        if not _ENCODING.fullmatch(encoding) or not 1 <= rate <= 1_000_000 or not 1 <= channels <= 255:
            return None
        pairs = (pair.partition("=") for pair in self._parameters.get(number, "").split(";"))
        parameters = {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
        return Format(number, encoding, rate, channels, parameters)


@attrs.define
class Description:
    control: str = ""
    media: list[Media] = attrs.field(factory=list)


def parse(body: bytes) -> Description:
    """Raises `DescriptionError`."""
    if len(body) > MAX_BYTES:
        raise DescriptionError(f"a description of {len(body)} bytes")
    lines = body.decode("utf-8", "replace").splitlines()
    if len(lines) > MAX_LINES:
        raise DescriptionError(f"a description of {len(lines)} lines")
    description = Description()
    for line in lines:
        key, _, value = line.strip().partition("=")
        if key == "m":
            _add_media(description, value)
        elif key == "a":
            _add_attribute(description, *value.partition(":")[::2])
    return description


def _add_media(description: Description, value: str) -> None:
    if len(description.media) >= MAX_MEDIA:
        raise DescriptionError(f"a description of more than {MAX_MEDIA} media")
    kind, _, protocol, *numbers = (*value.split(), "", "", "")
    known = dict.fromkeys(_number(number) for number in numbers[:MAX_FORMATS] if number)  # each is read once
    description.media.append(Media(kind.lower(), protocol.upper(), tuple(n for n in known if 0 <= n < 128)))


def _add_attribute(description: Description, name: str, value: str) -> None:
    media = description.media[-1] if description.media else None
    if name == "control":
        (media or description).control = value.strip()
    elif media is None:
        return
    elif name in ("sendonly", "recvonly", "sendrecv", "inactive"):
        media.direction = name
    elif name in ("rtpmap", "fmtp"):
        number, _, rest = value.strip().partition(" ")
        if len(media._maps) + len(media._parameters) < 2 * MAX_FORMATS:
            (media._maps if name == "rtpmap" else media._parameters)[_number(number)] = rest.strip()


def _number(text: str) -> int:
    """-1 for what is no number of ours."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
