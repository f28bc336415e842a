"""A viewer's offer, read. Pure.

Rules of this file:
- No line that a viewer wrote goes any further: every value is matched against a grammar here.
- One section of video and one of sound are taken, with every codec of ours that they offer; what else is offered is
  refused in the answer, in its place.
- Sizes are bounded, and so is the time.

Source: RFC 8866 (SDP), RFC 8829 (JSEP), RFC 8839 (ICE in SDP), RFC 9143 (BUNDLE), RFC 6184 (H.264), RFC 7798 (H.265),
RFC 7587 (Opus), RFC 4588 (RTX), RFC 8840 (trickle).
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping

import attrs

from supervisor.gateway import OfferError

MAX_LINES, MAX_SECTIONS = 1000, 8
MAX_CANDIDATES = 16
"""aioice pairs each with every address of ours."""
PROFILES = ("42e0", "42c0", "4240", "4200", "4d00", "4d40", "4d80", "6400", "640c")
"""Profiles of H.264 that a viewer may name, the best liked first: who decodes one of them decodes what cameras send."""

MID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:mid"
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
"""What we answer of the feedback that a viewer may send on video."""
AUDIO = {"opus": "opus/48000/2", "pcmu": "PCMU/8000", "pcma": "PCMA/8000"}
"""Sound that reaches viewers, by its name here and in an SDP."""

_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000"}
"""Payload types that need no rtpmap (RFC 3551, section 6)."""
_FMTP = re.compile(r"(?:[A-Za-z0-9\-]{1,32}=[A-Za-z0-9\-+/,]{0,64}(?:; ?|$)){1,16}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64}")
_ICE = re.compile(r"[A-Za-z0-9+/=_\-]+")
_DIGEST = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
_DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SECTION = re.compile(r"m=([a-z]{1,16}) ([0-9]{1,5})(?:/[0-9]+)? ([A-Z/]{1,32}) ([!-~ ]{1,1024})")
_RTPMAP = re.compile(r"[0-9]{1,3} [A-Za-z0-9\-]{1,32}/[0-9]{4,6}(?:/[0-9])?")
_CANDIDATE = re.compile(
    r"(?:candidate:)?([A-Za-z0-9+/\-]{1,32}) ([0-9]{1,3}) ([A-Za-z]{1,8}) ([0-9]{1,10}) ([0-9A-Za-z.:\-%]{1,255}) "
    r"([0-9]{1,5}) typ (host|srflx|relay|prflx)(?: .*)?"
)


@attrs.frozen
class Candidate:
    """Where a viewer may be reached: an address of its own (`host`), or one seen from outside."""

    foundation: str
    priority: int
    ip: str
    port: int
    kind: str

    def line(self) -> str:
        base = f"{self.foundation} 1 udp {self.priority} {self.ip} {self.port} typ {self.kind}"
        related = "::" if ":" in self.ip else "0.0.0.0"
        return base if self.kind == "host" else f"{base} raddr {related} rport 9"


@attrs.frozen
class Section:
    """One media section as it was offered."""

    kind: str
    protocol: str
    formats: str
    mid: str


@attrs.frozen
class Payload:
    """One codec, as the viewer numbers it."""

    number: int
    rtpmap: str
    """Like `H264/90000`."""
    fmtp: str = ""
    feedback: tuple[str, ...] = ()
    rtx: int | None = None
    """The payload type of its repeats."""

    @property
    def rate(self) -> int:
        return int(self.rtpmap.split("/")[1])


@attrs.frozen
class Stream:
    """A section that is accepted, with all that can be sent in it, by the name of the codec; the best liked first."""

    index: int
    mid: str
    payloads: Mapping[str, Payload]
    mid_extension: int | None


@attrs.frozen
class Offer:
    """What a viewer offers, as far as it matters."""

    sections: tuple[Section, ...]
    video: Stream
    audio: Stream | None
    bundled: bool
    ufrag: str
    pwd: str
    lite: bool
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    candidates: tuple[Candidate, ...]
    carrier: tuple[int, str] | None
    """Index and rtpmap of an audio section in front, on which the viewer's bundle hangs; nothing is sent in it."""

    @property
    def codecs(self) -> Collection[str]:
        """Of video, by our names."""
        return self.video.payloads.keys()


def parse_offer(text: str) -> Offer:
    """Raises `OfferError`: 400 for what is not an offer, 406 for one that cannot be met."""
    if not text.isascii():
        raise OfferError(400, "the offer is not ASCII, so it is not SDP")
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if lines[0] != "v=0":
        raise OfferError(400, "the offer does not begin with v=0, so it is not SDP")
    if len(lines) > MAX_LINES or not all(line.isprintable() for line in lines):
        raise OfferError(400, f"the offer has control characters or more than {MAX_LINES} lines")
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    session, media = parts[0], parts[1:]
    if not 1 <= len(media) <= MAX_SECTIONS:
        raise OfferError(400, f"the offer has {len(media)} media sections; 1 to {MAX_SECTIONS} can be read")
    sections = tuple(_section(part, session) for part in media)
    if len({section.mid for section in sections}) != len(sections):
        raise OfferError(400, "two sections of the offer have the same mid")
    chosen = next((i for i, s in enumerate(sections) if s.kind == "video" and _receives(media[i])), None)
    if chosen is None:
        raise OfferError(406, "the offer has no video section that receives; banken only sends video")
    group = next((value.split()[1:] for value in _all(session, "group") if value.startswith("BUNDLE ")), [])
    transport = media[_transport(sections, media, chosen, group)]
    if "a=rtcp-mux" not in transport:
        raise OfferError(406, "the offer lacks rtcp-mux, which is required here")
    ufrag, pwd = _one(transport, session, "ice-ufrag"), _one(transport, session, "ice-pwd")
    if not (_ICE.fullmatch(ufrag) and 4 <= len(ufrag) <= 256 and _ICE.fullmatch(pwd) and 22 <= len(pwd) <= 256):
        raise OfferError(400, "the offer's ICE user fragment or password is malformed")
    setup = _one(transport, session, "setup")
    if setup not in ("actpass", "active", "passive"):
        raise OfferError(400, f"the offer's DTLS role {setup[:20]!r} is none of actpass, active, passive")
    audio = _audio(sections, media, group) if sections[chosen].mid in group else None
    return Offer(
        sections=sections,
        video=_video(chosen, sections[chosen], media[chosen]),
        audio=audio,
        bundled=sections[chosen].mid in group,
        ufrag=ufrag,
        pwd=pwd,
        lite="a=ice-lite" in session,
        fingerprints=_fingerprints(_all(transport, "fingerprint") or _all(session, "fingerprint")),
        setup=setup,
        candidates=_candidates(media, session, chosen, ufrag),
        carrier=None if audio and audio.mid == group[0] else _carrier(sections, media, chosen, group),
    )


def parse_fragment(text: str, ufrag: str | None = None) -> tuple[Candidate, ...]:
    """The candidates of an SDP fragment (RFC 8840). Raises `OfferError` 400, and 422 for a new user fragment."""
    if not text.isascii() or len(text.splitlines()) > MAX_LINES:
        raise OfferError(400, "the fragment is not an SDP fragment")
    lines = [line.strip() for line in text.splitlines()]
    if not any(line.startswith(("a=candidate:", "a=ice-ufrag:", "a=end-of-candidates")) for line in lines):
        raise OfferError(400, "the fragment has neither a candidate nor a user fragment")
    for offered in _all(lines, "ice-ufrag"):
        if ufrag is not None and offered != ufrag:
            raise OfferError(422, "ICE restarts are not done here; open a new session")
    return tuple(_usable(_all(lines, "candidate")))[:MAX_CANDIDATES]


def _transport(sections: tuple[Section, ...], media: list[list[str]], chosen: int, group: list[str]) -> int:
    """The section whose transport the chosen one uses: of those that exist in a bundle alone, the bundle's first."""
    if "a=bundle-only" not in media[chosen] or sections[chosen].mid not in group:
        return chosen
    return next((index for index, section in enumerate(sections) if section.mid == group[0]), chosen)


def _section(lines: list[str], session: list[str]) -> Section:
    match = _SECTION.fullmatch(lines[0].rstrip())
    if match is None:
        raise OfferError(400, f"a media section begins with {lines[0][:60]!r}, which is malformed")
    mid = _one(lines, session, "mid")
    if not _TOKEN.fullmatch(mid):
        raise OfferError(400, "the mid of a media section is malformed")
    return Section(match[1], match[3], match[4], mid)


def _receives(lines: list[str]) -> bool:
    _, port, protocol, *_ = lines[0].split()
    open_to_us = port != "0" or "a=bundle-only" in lines
    return open_to_us and protocol.endswith("RTP/SAVPF") and not {"a=sendonly", "a=inactive"} & set(lines)


def _all(lines: Iterable[str], name: str) -> list[str]:
    return [line[len(name) + 3 :].strip() for line in lines if line.startswith(f"a={name}:")]


def _one(lines: list[str], session: list[str], name: str) -> str:
    found = set(_all(lines, name) or _all(session, name))
    if len(found) != 1:
        raise OfferError(400, f"the offer has {'contradicting' if found else 'no'} a={name}")
    return found.pop()


def _fingerprints(values: list[str]) -> tuple[tuple[str, str], ...]:
    usable = []
    for value in values:
        algorithm, _, digest = value.partition(" ")
        size = _DIGEST_BYTES.get(algorithm.lower())
        if size is not None:
            if not _DIGEST.fullmatch(digest) or len(digest) != 3 * size - 1:
                raise OfferError(400, "the offer's fingerprint is malformed")
            usable.append((algorithm.lower(), digest.upper()))
    if not 1 <= len(usable) <= 4:
        raise OfferError(400, f"the offer has {len(usable)} fingerprints by SHA-256 or better; 1 to 4 can be used")
    return tuple(usable)


def _video(index: int, section: Section, lines: list[str]) -> Stream:
    formats, rtpmaps, fmtps = _formats(section, lines)
    wanted: dict[str, set[str]] = {}
    for number, _, text in (value.partition(" ") for value in _all(lines, "rtcp-fb")):
        if text in FEEDBACK:
            wanted.setdefault(number, set()).add(text)
    repeats = [pt for pt in formats if rtpmaps.get(pt) == "RTX/90000"]
    apts = {fmtps.get(pt, "").partition(";")[0]: int(pt) for pt in repeats}

    def payload(pt: str, rtpmap: str, fmtp: str) -> Payload:
        feedback = wanted.get(pt, set()) | wanted.get("*", set())
        return Payload(int(pt), rtpmap, fmtp, tuple(f for f in FEEDBACK if f in feedback), apts.get(f"apt={pt}"))

    h264: dict[str, Payload] = {}
    payloads: dict[str, Payload] = {}
    for pt in formats:
        fmtp = fmtps.get(pt, "")
        if rtpmaps.get(pt) == "H264/90000":
            pairs = dict(pair.strip().partition("=")[::2] for pair in fmtp.lower().split(";"))
            profile = pairs.get("profile-level-id", "42e01f")
            if pairs.get("packetization-mode") == "1" and re.fullmatch("[0-9a-f]{6}", profile):
                own = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"
                h264.setdefault(profile[:4], payload(pt, "H264/90000", own))
        elif rtpmaps.get(pt) == "H265/90000" and "h265" not in payloads and (not fmtp or _FMTP.fullmatch(fmtp)):
            payloads["h265"] = payload(pt, "H265/90000", fmtp)
    best = next((h264[profile] for profile in PROFILES if profile in h264), None)
    if best is not None:
        payloads = {"h264": best, **payloads}
    if not payloads:
        raise OfferError(
            406, "the offer has neither H.264 with packetization-mode=1 and a profile up to High, nor H.265"
        )
    return Stream(index, section.mid, payloads, _mid_extension(lines))


def _audio(sections: tuple[Section, ...], media: list[list[str]], group: list[str]) -> Stream | None:
    """The first section of sound that shares the video's transport and takes a codec of ours."""
    for index, section in enumerate(sections):
        usable = section.kind == "audio" and section.mid in group and "a=rtcp-mux" in media[index]
        if usable and _receives(media[index]):
            formats, rtpmaps, fmtps = _formats(section, media[index])
            payloads: dict[str, Payload] = {}
            for name, rtpmap in AUDIO.items():
                pt = next((pt for pt in formats if rtpmaps.get(pt) == rtpmap.upper()), None)
                if pt is not None:
                    fmtp = fmtps.get(pt, "")
                    payloads[name] = Payload(int(pt), rtpmap, fmtp if _FMTP.fullmatch(fmtp) else "")
            if payloads:
                return Stream(index, section.mid, payloads, _mid_extension(media[index]))
    return None


def _formats(section: Section, lines: list[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The payload types of a section, their rtpmaps in capitals, and their parameters."""
    named = dict.fromkeys(section.formats.split())  # each is read once, however often it is named
    formats = [pt for pt in named if re.fullmatch("[0-9]{1,3}", pt) and int(pt) <= 127]
    rtpmaps = {pt: _STATIC[pt] for pt in formats if pt in _STATIC}
    rtpmaps |= {pt: name.upper() for pt, _, name in (value.partition(" ") for value in _all(lines, "rtpmap"))}
    fmtps = {pt: text.strip() for pt, _, text in (value.partition(" ") for value in _all(lines, "fmtp"))}
    return formats, rtpmaps, fmtps


def _mid_extension(lines: list[str]) -> int | None:
    """The number under which a section offers the mid as a header extension."""
    for value in _all(lines, "extmap"):
        match = re.fullmatch(r"([0-9]{1,2})(?:/[a-z]+)? (\S+)(?: .*)?", value)
        if match and match[2] == MID_EXTENSION and 1 <= int(match[1]) <= 14:
            return int(match[1])
    return None


def _candidates(media: list[list[str]], session: list[str], chosen: int, ufrag: str) -> tuple[Candidate, ...]:
    """Of the chosen section, and of those that share its transport: the first of a bundle may hold the only ones."""
    values = list(_all(media[chosen], "candidate"))
    for index, lines in enumerate(media):
        if index != chosen and (_all(lines, "ice-ufrag") or _all(session, "ice-ufrag")) == [ufrag]:
            values += _all(lines, "candidate")
    unique = {(candidate.ip, candidate.port): candidate for candidate in _usable(values)}
    return tuple(unique.values())[:MAX_CANDIDATES]


def _usable(values: list[str]) -> Iterable[Candidate]:
    """The candidates that can be used: UDP, RTP, an address.

    Names are left out, those of mDNS too: to look them up would be to do a stranger's errand, and the viewer's own
    checks reveal its address in any case. Addresses with a zone are left out for the same reason.
    """
    for value in values:
        match = _CANDIDATE.fullmatch(value)
        if match is None:
            raise OfferError(400, f"the candidate {value[:60]!r} is malformed")
        foundation, component, transport, priority, host, port, kind = match.groups()
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            continue
        if "%" in host:  # names an interface of the viewer's
            continue
        reachable = not (ip.is_multicast or ip.is_unspecified) and 0 < int(port) <= 65535
        if component == "1" and transport.lower() == "udp" and kind != "prflx" and reachable:
            yield Candidate(foundation, min(int(priority), 0x7FFFFFFF), str(ip), int(port), kind)


def _carrier(
    sections: tuple[Section, ...], media: list[list[str]], chosen: int, group: list[str]
) -> tuple[int, str] | None:
    """Chromium under `max-bundle` cannot take an answer that refuses the first section of its bundle, and its offer
    does not say which policy it follows: an audio section there is kept, inactive."""
    first = next((index for index, section in enumerate(sections) if group and section.mid == group[0]), chosen)
    if first == chosen or sections[chosen].mid not in group or sections[first].kind != "audio":
        return None
    pt = sections[first].formats.split()[0]
    rtpmap = next((value for value in _all(media[first], "rtpmap") if value.startswith(f"{pt} ")), "")
    if not _RTPMAP.fullmatch(rtpmap):
        raise OfferError(400, "the first section of the offer's bundle has a malformed rtpmap")
    return first, rtpmap
