"""A camera's description, as far as the choice of media needs it. Pure.

Rules of this file:
- A description is never rejected for an unknown line, only for its size. `actors/media/sdp.py` has the grammar.
- A payload type takes what its own number announces. Where that is missing, lines of other numbers are read.

Source: RFC 2326, appendix C (control addresses); RFC 6184, 7798, 3640 and 6416 (parameters).
"""

import re
from collections.abc import Mapping

import attrs

from ...media.bitstream import MAX_SIDE
from ...media.oddities import Oddity
from ...media.sdp import STATIC, SdpSection, SdpTooLong, parse_sdp

MAX_BYTES = 16 * 1024
"""Limit of a description: parsing takes up to 0.25 µs per byte. Cameras send 1 to 3 kB."""
MAX_LINES = 2000
MAX_MEDIA = 32
MAX_FORMATS = 32
MAX_SOURCES = 4

_SIZE = re.compile(r"([0-9]{1,5})\s?[,x-]\s?([0-9]{1,5})$")
_ENCODING = re.compile(r"[A-Z0-9._+-]{1,40}")
_H264 = frozenset({"sprop-parameter-sets", "packetization-mode"})
_H265 = frozenset({"sprop-vps", "sprop-sps", "sprop-pps"})
_AAC = frozenset({"sizelength", "indexlength", "indexdeltalength"})
"""Names of parameters that only one codec has."""
_USEFUL = {"video": _H264 | _H265, "audio": _AAC | {"config"}}
_USEFUL_ANYWHERE = frozenset[str]().union(*_USEFUL.values())
_RATES = {"video": 90_000, "audio": 8000}
"""Clock rates in Hz of codecs without one."""


class DescriptionError(ValueError):
    """A description that exceeds a limit."""


@attrs.frozen
class Format:
    """One payload type: its coding (in upper case), clock rate in Hz, channels, and the parameters of `fmtp`."""

    number: int
    encoding: str
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    """Parameters by name in lower case, without quotes."""
    oddities: frozenset[Oddity] = frozenset()
    """The repairs that were needed to read it."""


@attrs.frozen
class Media:
    kind: str
    """`video`, `audio`, `application`."""
    protocol: str
    control: str
    direction: str
    numbers: tuple[int, ...]
    """Payload types in the camera's order."""
    key_mgmt: tuple[str, ...]
    """Values of `a=key-mgmt`, else those of the session; the keys of encrypted media."""
    crypto: tuple[str, ...]
    _rtpmaps: Mapping[int, str]
    _fmtps: Mapping[int, Mapping[str, str]]
    """Parameters by payload type."""
    _strays: Mapping[int, Mapping[str, str]] = attrs.field(factory=dict)
    """The same of all sections."""
    port: int = 0
    address: str = ""
    """The IP address of the connection (`c=`): the multicast group, if it is one."""
    sources: tuple[str, ...] = ()
    """The senders that a source filter includes (RFC 4570)."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels, where a line names them."""

    @property
    def is_encrypted(self) -> bool:
        """Whether RTP is to be encrypted: RTP/SAVP or RTP/SAVPF (RFC 3711; RFC 5124)."""
        return "SAVP" in self.protocol

    @property
    def is_odd(self) -> bool:
        """Whether no standard has this name of a protocol for it."""
        return self.protocol not in ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")

    @property
    def profile(self) -> str:
        """The RTP profile that SETUP asks for."""
        if self.is_encrypted:
            return "RTP/SAVPF" if self.protocol.endswith("SAVPF") else "RTP/SAVP"
        return "RTP/AVP"

    def formats(self) -> list[Format]:
        """Return the formats in the camera's order, without unknown ones; then those of numbers that `m=` lacks."""
        others = [pair for pair in self._rtpmaps.items() if pair[0] not in self.numbers and 0 <= pair[0] < 128]
        useful = _USEFUL.get(self.kind, frozenset())
        unlisted = [fmtp for number, fmtp in self._fmtps.items() if number not in self.numbers and fmtp.keys() & useful]
        found = []
        for number in self.numbers:
            fmtp, odd = self._parameters(number, useful, unlisted)
            rtpmap = self._rtpmaps.get(number) or STATIC.get(str(number))
            if rtpmap is None and others:
                (_, rtpmap), odd = others.pop(0), odd | {Oddity.OTHER_NUMBER}
            if rtpmap is None and (rtpmap := _guess(self.kind, fmtp)):
                odd |= {Oddity.NO_NAME}
            if rtpmap is not None:
                found.append(self._format(number, rtpmap, fmtp, odd))
        for number, rtpmap in others[:MAX_FORMATS]:
            found.append(self._format(number, rtpmap, self._fmtps.get(number, {}), frozenset({Oddity.OTHER_NUMBER})))
        return [known for known in found if known is not None]

    def _format(self, number: int, rtpmap: str, fmtp: Mapping[str, str], odd: frozenset[Oddity]) -> Format | None:
        name, *rest = rtpmap.split("/")
        encoding = name.strip().upper()
        rate = _number(rest[0]) if rest else 0
        channels = _number(rest[1]) if len(rest) > 1 else 1
        if not 1 <= rate <= 1_000_000:
            rate, odd = _RATES.get(self.kind, 0), odd | {Oddity.CLOCK_RATE}
        if not _ENCODING.fullmatch(encoding) or not rate or not 1 <= channels <= 255:
            return None
        return Format(number, encoding, rate, channels, fmtp, odd)

    def _parameters(
        self, number: int, useful: frozenset[str], unlisted: list[Mapping[str, str]]
    ) -> tuple[Mapping[str, str], frozenset[Oddity]]:
        """Return the parameters of a payload type. Without useful ones, take those that another number has by mistake.

        `unlisted` are the useful parameters of numbers that `m=` lacks.
        """
        own = self._fmtps.get(number, {})
        if own.keys().isdisjoint(useful):
            for fmtp in (*unlisted[:1], self._strays.get(number, {})):
                if not fmtp.keys().isdisjoint(useful):
                    return fmtp, frozenset({Oddity.OTHER_NUMBER})
        return own, frozenset()


def _guess(kind: str, fmtp: Mapping[str, str]) -> str | None:
    """Return the codec of a payload type without a name, if its parameters leave no doubt."""
    if kind == "video":
        return "H264/90000" if fmtp.keys() & _H264 else "H265/90000" if fmtp.keys() & _H265 else None
    return "MPEG4-GENERIC/16000" if kind == "audio" and fmtp.keys() & _AAC else None


@attrs.frozen
class Description:
    control: str
    media: tuple[Media, ...]
    title: str = ""
    """The value of `s=`, as the camera wrote it; so are the two below."""
    information: str = ""
    """The value of `i=`."""
    tool: str = ""
    """The value of `a=tool`."""


def parse(body: bytes) -> Description:
    """Parse a description. Raises `DescriptionError` when it is not one, or exceeds a limit."""
    if len(body) > MAX_BYTES:
        raise DescriptionError(f"a description of {len(body)} bytes")
    try:
        session, sections = parse_sdp(body.decode("utf-8", "replace"), MAX_LINES, MAX_MEDIA)
    except SdpTooLong as error:
        raise DescriptionError(f"a description of {error}") from None
    if not sections and "v" not in session.lines:
        raise DescriptionError("a body that is no description")
    fmtps = [_fmtps(section) for section in (session, *sections)]
    strays: dict[int, Mapping[str, str]] = {}
    for each in fmtps:
        strays |= {number: fmtp for number, fmtp in each.items() if fmtp.keys() & _USEFUL_ANYWHERE}
    media = (_media(section, session, own, strays) for section, own in zip(sections, fmtps[1:], strict=True))
    title, information = ((session.lines.get(letter) or [""])[0] for letter in "si")
    return Description(
        _control(session),
        tuple(media),
        title,
        information,
        (session.all("tool") or [""])[0],
    )


def _media(
    section: SdpSection,
    session: SdpSection,
    fmtps: Mapping[int, Mapping[str, str]],
    strays: Mapping[int, Mapping[str, str]],
) -> Media:
    known = dict.fromkeys(map(_number, section.formats[:MAX_FORMATS]))  # each is parsed once
    return Media(
        kind=section.kind.lower(),
        protocol=section.protocol.upper(),
        control=_control(section),
        direction=section.direction,
        key_mgmt=tuple(section.all("key-mgmt") or session.all("key-mgmt")),
        crypto=tuple(section.all("crypto")),
        numbers=tuple(number for number in known if 0 <= number < 128),
        rtpmaps={_number(number): text for number, text in section.by_format("rtpmap").items()},
        fmtps=fmtps,
        strays=strays,
        port=max(0, _number(section.port.partition("/")[0])),
        address=_address(section) or _address(session),
        sources=_sources(section) or _sources(session),
        size=_size(section),
    )


def _fmtps(section: SdpSection) -> dict[int, Mapping[str, str]]:
    """Return the parameters by payload type, those of all its lines together."""
    found: dict[int, dict[str, str]] = {}
    for line in section.all("fmtp"):
        number, *text = line.split(None, 1) or [""]
        found.setdefault(_number(number), {}).update(_parameters("".join(text)))
    return dict(found)


def _parameters(text: str) -> dict[str, str]:
    """Parse parameters: values by name in lower case. The last counts. A missing semicolon is seen by the next name."""
    found: dict[str, list[str]] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        values = found[name.strip().lower()] = []
        for word in value.split():
            other, _, rest = word.partition("=")
            if values and other and rest[:1] not in ("", "=", ","):  # those follow padding of base64
                values = found[other.lower()] = []
                word = rest
            values.append(word)
    return {name: " ".join(values).strip("\"'") for name, values in found.items() if name}


def _address(section: SdpSection) -> str:
    """Return the address of a line like `c=IN IP4 239.0.0.1/16`; empty without one."""
    words = section.lines.get("c", [""])[0].split()
    return words[2].partition("/")[0] if len(words) > 2 else ""


def _sources(section: SdpSection) -> tuple[str, ...]:
    """Return the senders of a line like `a=source-filter: incl IN IP4 * 192.0.2.1`."""
    words = (section.all("source-filter") or [""])[0].split()
    return tuple(words[4 : 4 + MAX_SOURCES]) if words[:1] == ["incl"] else ()


def _size(section: SdpSection) -> tuple[int, int]:
    """Return the size of a line like `a=x-dimensions:2592,1944` or `a=framesize:26 2592-1944`; (0, 0) without one."""
    for text in (*section.all("x-dimensions"), *section.all("framesize")):
        if found := _SIZE.search(text):
            width, height = int(found[1]), int(found[2])
            if 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE:
                return width, height
    return 0, 0


def _control(section: SdpSection) -> str:
    """Return the control address: the last one counts."""
    return (section.all("control") or [""])[-1]


def _number(text: str) -> int:
    """Parse a decimal number of at most nine digits; -1 for any other text."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
