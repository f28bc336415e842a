"""SDP: the one grammar, for cameras' descriptions and for viewers' offers. Pure.

Rules of this file:
- It decides nothing. A line of unknown form is kept or ignored. The only error is the number of lines or of sections.
- Time and memory are linear in the text. The caller limits its length.
- A line ends with CRLF, LF or CR. Space around a line, a name or a value does not count.

Source: RFC 8866 (SDP); RFC 3551, section 6 (static payload types).
"""

import attrs

from supervisor.domain.words import plural

DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
STATIC = {
    "0": "PCMU/8000", "2": "G726-32/8000", "3": "GSM/8000", "4": "G723/8000", "5": "DVI4/8000", "6": "DVI4/16000",
    "7": "LPC/8000", "8": "PCMA/8000", "9": "G722/8000", "10": "L16/44100/2", "11": "L16/44100", "14": "MPA/90000",
    "15": "G728/8000", "18": "G729/8000", "26": "JPEG/90000", "31": "H261/90000", "32": "MPV/90000",
    "33": "MP2T/90000", "34": "H263/90000",
}  # fmt: skip
"""Payload types that need no `rtpmap`."""


class SdpTooLong(ValueError):
    """A text beyond the limits of the caller. The message is their number, like `2001 lines`."""


@attrs.define
class SdpSection:
    """The lines of the session, or of one media section. All are text as it was sent, without space around it."""

    media: str = ""
    """The value of `m=`, like `video 9 UDP/TLS/RTP/SAVPF 96 97`, and its words below; empty for the session."""
    kind: str = ""
    port: str = ""
    protocol: str = ""
    formats: tuple[str, ...] = ()
    direction: str = attrs.field(default="", init=False)
    """The last one of `DIRECTIONS`; empty without any."""
    lines: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """The values of all other lines by their letter: `c` is the connection, `b` the bandwidth."""
    attributes: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """The values of `a=` by name. A flag like `rtcp-mux` has an empty value."""

    def has(self, name: str) -> bool:
        return name in self.attributes

    def all(self, name: str) -> list[str]:
        """Return the values of an attribute in their order."""
        return self.attributes.get(name, [])

    def by_format(self, name: str) -> dict[str, str]:
        """Return the values of `rtpmap`, `fmtp` or their like by payload type. The last of each counts."""
        pairs = (value.split(None, 1) for value in self.all(name))
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    def rtpmaps(self) -> dict[str, str]:
        """Return encodings like `H264/90000` by payload type, with the static ones of this section's formats."""
        return {number: STATIC[number] for number in self.formats if number in STATIC} | self.by_format("rtpmap")


def parse_sdp(text: str, max_lines: int, max_media: int) -> tuple[SdpSection, list[SdpSection]]:
    """Parse a text into its session and its media sections. Raises `SdpTooLong`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    if len(lines) > max_lines:
        raise SdpTooLong(f"{plural(len(lines), 'line')}; at most {max_lines} can be read")
    session = section = SdpSection()
    media: list[SdpSection] = []
    for line in lines:
        letter, _, value = line.strip().partition("=")
        if letter == "a":
            name, _, value = value.partition(":")
            name = name.strip()
            if name in DIRECTIONS:
                section.direction = name
            section.attributes.setdefault(name, []).append(value.strip())
        elif letter == "m":
            if len(media) >= max_media:
                raise SdpTooLong(f"more than {max_media} media sections")
            words = [*value.split(), "", "", ""]  # some may be missing
            section = SdpSection(value.strip(), words[0], words[1], words[2], tuple(words[3:-3]))
            media.append(section)
        elif letter:
            section.lines.setdefault(letter, []).append(value.strip())
    return session, media


def parameters(text: str) -> dict[str, str]:
    """Parse the parameters of a format, like `apt=96;rtx-time=200`: values by name in lower case. The last counts."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
