"""Parses a viewer's offer. Pure.

Rules of this file:
- No line of a viewer is passed on: every value is matched against a pattern in this file. `actors/media/sdp.py` has the
  grammar.
- One video section and one audio section are accepted, with every codec that both sides support. The answer rejects all
  other sections.
- Sizes are bounded, and so is the time.
- A candidate that cannot be used, whatever its form, is discarded silently (draft-ietf-wish-whep, section 4.3).

Source: RFC 8866 (SDP), RFC 8829 (JSEP), RFC 8839 (ICE in SDP), RFC 9143 (BUNDLE), RFC 6184 (H.264), RFC 7798 (H.265),
RFC 7587 (Opus), RFC 4588 (RTX), RFC 8840 (trickle).
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import product

import attrs

from supervisor.ports.viewing import OfferError

from ..media.media import AudioFormat
from ..media.sdp import SdpSection, SdpTooLong, parameters, parse_sdp

MAX_LINES, MAX_SECTIONS = 1000, 8
MAX_CANDIDATES = 16
"""aioice pairs each with every local address."""
PROFILES = ("42e0", "42c0", "4240", "4200", "4d00", "4d40", "4d80", "6400", "640c")
"""Profiles of H.264 that a viewer may name, the best first. A decoder of any of them decodes cameras' streams."""
MODES = ("1", "0")
"""Packetization modes of H.264 that a viewer may name, in order of preference. An offer without a mode has mode 0 (RFC
6184, section 8.1).

The answer repeats the mode, but the packets are the same: a camera's slices do not fit into single packets. GStreamer,
pion, FFmpeg and libwebrtc read each packet by its type, whatever the mode.
"""

MID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:mid"
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
"""The kinds of video feedback that the answer accepts."""
AUDIO = {"opus": "opus/48000/2", "pcmu": "PCMU/8000", "pcma": "PCMA/8000"}
"""Audio codecs that reach viewers: the name in this project, and the name in an SDP."""

_FMTP = re.compile(r"(?:[A-Za-z0-9\-]{1,32}=[A-Za-z0-9\-+/,]{0,64}(?:; ?|$)){1,16}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64}")
_ICE = re.compile(r"[A-Za-z0-9+/=_\-]+")
_DIGEST = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
_DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SECTION = re.compile(r"([a-z]{1,16}) ([0-9]{1,5})(?:/[0-9]+)? ([A-Z/]{1,32}) ([!-~ ]{1,1024})")
_RTPMAP = re.compile(r"([0-9]{1,3}) [A-Za-z0-9._\-]{1,32}/[0-9]{1,6}(?:/[0-9]{1,2})?")
_BOM = "\ufeff"
"""A byte order mark, with which some editors and runtimes begin a text (RFC 3629, section 6)."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_CANDIDATE = re.compile(
    r"(?:candidate:)?([A-Za-z0-9+/\-]{1,32}) ([0-9]{1,3}) ([A-Za-z]{1,8}) ([0-9]{1,10}) ([0-9A-Za-z.:\-%]{1,255}) "
    r"([0-9]{1,5}) typ (host|srflx|relay|prflx)(?: .*)?"
)


@attrs.frozen
class Candidate:
    """An address at which a viewer may be reached: a local one (`host`), or one seen from outside."""

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
    """One media section of the offer."""

    kind: str
    protocol: str
    formats: str
    mid: str
    rtpmaps: tuple[str, ...] = ()
    """The meaning of its formats, like `111 opus/48000/2`. An answer that rejects the section repeats them."""
    ufrag: str = ""
    candidates: tuple[Candidate, ...] = ()
    """Its usable addresses."""


@attrs.frozen
class Payload:
    """One codec with the viewer's payload type."""

    number: int
    rtpmap: str
    """Like `H264/90000`."""
    fmtp: str = ""
    feedback: tuple[str, ...] = ()
    rtx: int | None = None
    """The payload type of its retransmissions."""

    @property
    def rate(self) -> int:
        return int(self.rtpmap.split("/")[1])


@attrs.frozen
class Stream:
    """An accepted section, with the payloads that can be sent in it, by codec name and in order of preference."""

    index: int
    mid: str
    payloads: Mapping[str, Payload]
    mid_extension: int | None


@attrs.frozen
class SdpOffer:
    """The relevant parts of a viewer's offer."""

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
    strangers: frozenset[tuple[str, int]]
    """Addresses of rejected transports. aiortc checks them, too, with the password of the accepted transport."""
    transport: int
    """Index of the section whose transport is accepted: that of the video, or the first of its bundle."""
    carrier: int | None
    """Index of the first audio or video section in the viewer's bundle, if that is not the chosen one."""

    @property
    def codecs(self) -> Collection[str]:
        """The names of the video codecs; empty if the viewer offers no supported codec."""
        return self.video.payloads.keys()

    def without_audio(self) -> "SdpOffer":
        """Return the offer for a camera without audio that the viewer can hear: the answer rejects the audio section.

        Some browsers wait for every medium that is accepted.
        """
        return _with_paths(attrs.evolve(self, audio=None))

    def hears(self, sent: AudioFormat | None) -> bool:
        """Return whether the viewer can receive this audio, unchanged or transcoded to Opus."""
        if self.audio is None or sent is None:
            return False
        payload = self.audio.payloads.get(sent.codec if sent.is_passed else "opus")
        return payload is not None and (payload.rate == sent.rate or not sent.is_passed)


def parse_offer(text: str) -> SdpOffer:
    """Parse an SDP offer. Raises `OfferError`: 400 for text that is not an offer, 406 for an unsupported offer."""
    text = text.removeprefix(_BOM).replace("\r\n", "\n").strip("\n")
    if text.partition("\n")[0] != "v=0":
        raise OfferError(400, "the offer does not begin with v=0, so it is not SDP")
    if _CONTROL.search(text):
        raise OfferError(400, "the offer has control characters")
    session, media = _parse(text, "offer")
    if not media:
        raise OfferError(400, "the offer has no media section")
    sections = tuple(_section(part, session) for part in media)
    if len({section.mid for section in sections}) != len(sections):
        raise OfferError(400, "two sections of the offer have the same mid")
    chosen = next((i for i, s in enumerate(sections) if s.kind == "video" and _receives(media[i], session)), None)
    if chosen is None:
        raise OfferError(406, "the offer has no video section that receives; banken only sends video")
    group = next((value.split()[1:] for value in session.all("group") if value.startswith("BUNDLE ")), [])
    index = _transport(sections, media, chosen, group)
    transport = media[index]
    if not transport.has("rtcp-mux") and not media[chosen].has("rtcp-mux"):  # a data section has no rtcp-mux
        raise OfferError(406, "the offer lacks rtcp-mux, which is required here")
    ufrag, pwd = _one(transport, session, "ice-ufrag"), _one(transport, session, "ice-pwd")
    if not (_ICE.fullmatch(ufrag) and 4 <= len(ufrag) <= 256 and _ICE.fullmatch(pwd) and 22 <= len(pwd) <= 256):
        raise OfferError(400, "the offer's ICE user fragment or password is malformed")
    setup = _one(transport, session, "setup")
    if setup not in ("actpass", "active", "passive"):
        raise OfferError(400, f"the offer's DTLS role {setup[:20]!r} is not actpass, active or passive")
    audio = _audio(sections, media, session, group) if sections[chosen].mid in group else None
    offer = SdpOffer(
        sections=sections,
        video=_video(chosen, sections[chosen].mid, media[chosen]),
        audio=audio,
        bundled=sections[chosen].mid in group,
        ufrag=ufrag,
        pwd=pwd,
        lite=session.has("ice-lite"),
        fingerprints=_fingerprints(transport.all("fingerprint") or session.all("fingerprint")),
        setup=setup,
        candidates=(),
        strangers=frozenset(),
        transport=index,
        carrier=_carrier(sections, chosen, group),
    )
    return _with_paths(offer)


def parse_fragment(text: str, ufrag: str | None = None) -> tuple[Candidate, ...]:
    """Return the candidates of an SDP fragment (RFC 8840). Raises `OfferError` 400, and 422 for a new user fragment."""
    session, media = _parse(text, "fragment")
    sections = [session, *media]
    if not any(section.has(name) for section in sections for name in ("candidate", "ice-ufrag", "end-of-candidates")):
        raise OfferError(400, "the fragment has neither a candidate nor a user fragment")
    if any(offered != ufrag for section in sections for offered in section.all("ice-ufrag")) and ufrag is not None:
        raise OfferError(422, "ICE restarts are not supported; open a new session")
    candidates = [value for section in sections for value in section.all("candidate")]
    return tuple(_usable(candidates))[:MAX_CANDIDATES]


def _parse(text: str, what: str) -> tuple[SdpSection, list[SdpSection]]:
    try:
        return parse_sdp(text, MAX_LINES, MAX_SECTIONS)
    except SdpTooLong as error:
        raise OfferError(400, f"the {what} has {error}") from None


def _transport(sections: tuple[Section, ...], media: list[SdpSection], chosen: int, group: list[str]) -> int:
    """Return the index of the section whose transport the chosen one uses: if bundle-only, the bundle's first."""
    if not media[chosen].has("bundle-only") or sections[chosen].mid not in group:
        return chosen
    return next((index for index, section in enumerate(sections) if section.mid == group[0]), chosen)


def _section(section: SdpSection, session: SdpSection) -> Section:
    match = _SECTION.fullmatch(section.media)
    if match is None:
        raise OfferError(400, f"a media section begins with {f'm={section.media}'[:60]!r}, which is malformed")
    mid = _one(section, session, "mid")
    if not _TOKEN.fullmatch(mid):
        raise OfferError(400, "the mid of a media section is malformed")
    formats = set(section.formats)
    found = (_RTPMAP.fullmatch(value) for value in section.all("rtpmap"))
    rtpmaps = {rtpmap[1]: rtpmap[0] for rtpmap in found if rtpmap and rtpmap[1] in formats}
    ufrag = next(iter(section.all("ice-ufrag") or session.all("ice-ufrag")), "")
    candidates = tuple(_usable(section.all("candidate")))
    return Section(match[1], match[3], match[4], mid, tuple(rtpmaps.values()), ufrag, candidates)


def _receives(section: SdpSection, session: SdpSection) -> bool:
    """Return whether a section receives. The session's direction applies if it has none (RFC 8866, section 6.7)."""
    open_to_us = section.port != "0" or section.has("bundle-only")
    direction = section.direction or session.direction
    return open_to_us and section.protocol.endswith("RTP/SAVPF") and direction not in ("sendonly", "inactive")


def _one(section: SdpSection, session: SdpSection, name: str) -> str:
    found = set(section.all(name) or session.all(name))
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


def _video(index: int, mid: str, section: SdpSection) -> Stream:
    formats, rtpmaps, fmtps = _formats(section)
    wanted: dict[str, set[str]] = {}
    for number, _, text in (value.partition(" ") for value in section.all("rtcp-fb")):
        if text in FEEDBACK:
            wanted.setdefault(number, set()).add(text)
    repeats = [pt for pt in formats if rtpmaps.get(pt) == "RTX/90000"]
    apts = {parameters(fmtps.get(pt, "")).get("apt"): int(pt) for pt in repeats}

    def payload(pt: str, rtpmap: str, fmtp: str) -> Payload:
        feedback = wanted.get(pt, set()) | wanted.get("*", set())
        return Payload(int(pt), rtpmap, fmtp, tuple(f for f in FEEDBACK if f in feedback), apts.get(pt))

    h264: dict[tuple[str, str], Payload] = {}
    payloads: dict[str, Payload] = {}
    for pt in formats:
        fmtp = fmtps.get(pt, "")
        if rtpmaps.get(pt) == "H264/90000":
            pairs = parameters(fmtp.lower())
            mode, profile = pairs.get("packetization-mode", "0"), pairs.get("profile-level-id", "42e01f")
            if re.fullmatch("[0-9a-f]{6}", profile):
                own = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
                h264.setdefault((mode, profile[:4]), payload(pt, "H264/90000", own if fmtp else ""))
        elif rtpmaps.get(pt) == "H265/90000" and "h265" not in payloads and (not fmtp or _FMTP.fullmatch(fmtp)):
            payloads["h265"] = payload(pt, "H265/90000", fmtp)
    best = next((h264[kind] for kind in product(MODES, PROFILES) if kind in h264), None)
    if best is not None:
        payloads = {"h264": best, **payloads}
    return Stream(index, mid, payloads, _mid_extension(section))


def _audio(
    sections: tuple[Section, ...], media: list[SdpSection], session: SdpSection, group: list[str]
) -> Stream | None:
    """Return the first audio section that shares the video's transport and has a supported codec."""
    for index, section in enumerate(sections):
        usable = section.kind == "audio" and section.mid in group and media[index].has("rtcp-mux")
        if usable and _receives(media[index], session):
            formats, rtpmaps, fmtps = _formats(media[index])
            payloads: dict[str, Payload] = {}
            for name, rtpmap in AUDIO.items():
                pt = next((pt for pt in formats if rtpmaps.get(pt) == rtpmap.upper()), None)
                if pt is not None:
                    fmtp = fmtps.get(pt, "")
                    payloads[name] = Payload(int(pt), rtpmap, fmtp if _FMTP.fullmatch(fmtp) else "")
            if payloads:
                return Stream(index, section.mid, payloads, _mid_extension(media[index]))
    return None


def _formats(section: SdpSection) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Return the payload types of a section, their rtpmaps in upper case, and their parameters."""
    named = dict.fromkeys(section.formats)  # each is read once, however often it is named
    formats = [pt for pt in named if re.fullmatch("[0-9]{1,3}", pt) and int(pt) <= 127]
    rtpmaps = {pt: rtpmap.upper() for pt, rtpmap in section.rtpmaps().items()}
    return formats, rtpmaps, section.by_format("fmtp")


def _mid_extension(section: SdpSection) -> int | None:
    """Return the number under which a section offers the mid as a header extension."""
    for value in section.all("extmap"):
        match = re.fullmatch(r"([0-9]{1,2})(?:/[a-z]+)? (\S+)(?: .*)?", value)
        if match and match[2] == MID_EXTENSION and 1 <= int(match[1]) <= 14:
            return int(match[1])
    return None


def _with_paths(offer: SdpOffer) -> SdpOffer:
    """Return the offer with the candidates of its accepted sections, and the addresses that only others name.

    Without one, the candidates of other sections are taken: the first section of a bundle may have the only ones.
    """
    accepted = {offer.video.index, offer.transport, offer.carrier, offer.audio.index if offer.audio else None}
    ours: dict[tuple[str, int], Candidate] = {}
    others: dict[tuple[str, int], Candidate] = {}
    for index, section in enumerate(offer.sections):
        if section.ufrag == offer.ufrag:
            named = {(candidate.ip, candidate.port): candidate for candidate in section.candidates}
            (ours if index in accepted else others).update(named)
    strangers = frozenset(others.keys() - ours.keys()) if ours else frozenset()
    return attrs.evolve(offer, candidates=tuple((ours or others).values())[:MAX_CANDIDATES], strangers=strangers)


def _usable(values: list[str]) -> Iterable[Candidate]:
    """Yield the usable candidates: UDP, RTP, an IP address.

    Host names are left out, including those of mDNS: resolving them would let a stranger trigger lookups, and the
    viewer's own checks reveal its address in any case. Addresses with a zone are left out for the same reason.
    """
    for value in values:
        match = _CANDIDATE.fullmatch(value)
        if match is None:
            continue
        foundation, component, transport, priority, host, port, kind = match.groups()
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            continue
        if "%" in host:  # names an interface of the viewer
            continue
        reachable = not (ip.is_multicast or ip.is_unspecified) and 0 < int(port) <= 65535
        if component == "1" and transport.lower() == "udp" and kind != "prflx" and reachable:
            yield Candidate(foundation, min(int(priority), 0x7FFFFFFF), str(ip), int(port), kind)


def _carrier(sections: tuple[Section, ...], chosen: int, group: list[str]) -> int | None:
    """Return the index of the bundle's first section, if the answer has to keep it.

    Chromium with `max-bundle` does not accept an answer that rejects this section, and its offer does not show the
    policy. If nothing is sent in the section, the answer keeps it, inactive.
    """
    if sections[chosen].mid not in group:
        return None
    first = next((index for index, section in enumerate(sections) if section.mid == group[0]), chosen)
    return None if first == chosen or sections[first].kind not in ("audio", "video") else first
