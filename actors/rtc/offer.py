"""A viewer's offer, read and written anew. Pure.

Rules of this file:
- aiortc never sees a line that a viewer wrote: every value is matched against a grammar here, and the offer that aiortc
  gets is written from what was understood, with one video section, one H.264 payload type and addresses only.
- What else is offered (audio, data, more video) is refused in the answer, in its place.
- Sizes are bounded, and so is the time.

Source: RFC 8866 (SDP), RFC 8829 (JSEP), RFC 8839 (ICE in SDP), RFC 8843 (BUNDLE), RFC 6184 (H.264), RFC 8840 (trickle).
"""

import ipaddress
import re
from collections.abc import Iterable

import attrs

from supervisor.gateway import OfferError

MAX_LINES, MAX_SECTIONS = 1000, 8
MAX_CANDIDATES = 16
"""aioice pairs each with every address of ours."""
PROFILES = ("42e0", "4200", "4d00", "6400", "640c", "4240")
"""Profiles of H.264 that a viewer may name, the best liked first: who decodes one of them decodes what cameras send."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64}")
_ICE = re.compile(r"[A-Za-z0-9+/=_\-]+")
_DIGEST = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
_DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SECTION = re.compile(r"m=([a-z]{1,16}) ([0-9]{1,5})(?:/[0-9]+)? ([A-Z/]{1,32}) ([!-~ ]{1,1024})")
_RTPMAP = re.compile(r"[0-9]{1,3} [A-Za-z0-9\-]{1,32}/[0-9]{4,6}(?:/[0-9])?")
_CANDIDATE = re.compile(
    r"(?:candidate:)?([A-Za-z0-9+/\-]{1,32}) ([0-9]{1,3}) ([A-Za-z]{1,8}) ([0-9]{1,10}) ([0-9A-Za-z.:\-]{1,255}) "
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
class Codec:
    payload_type: int
    profile: str
    """`profile-level-id` as it was offered: six hex digits."""
    feedback: tuple[str, ...]


@attrs.frozen
class Offer:
    """What a viewer offers, as far as it matters. `chosen` is the index of the video section that is accepted."""

    sections: tuple[Section, ...]
    chosen: int
    bundled: bool
    ufrag: str
    pwd: str
    lite: bool
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    codec: Codec
    candidates: tuple[Candidate, ...]
    carrier: tuple[int, str] | None
    """Index and rtpmap of an audio section in front, on which the viewer's bundle hangs."""

    @property
    def mid(self) -> str:
        return self.sections[self.chosen].mid


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
    video = media[chosen]
    if "a=rtcp-mux" not in video:
        raise OfferError(406, "the offer lacks rtcp-mux, which is required here")
    ufrag, pwd = _one(video, session, "ice-ufrag"), _one(video, session, "ice-pwd")
    if not (_ICE.fullmatch(ufrag) and 4 <= len(ufrag) <= 256 and _ICE.fullmatch(pwd) and 22 <= len(pwd) <= 256):
        raise OfferError(400, "the offer's ICE user fragment or password is malformed")
    setup = _one(video, session, "setup")
    if setup not in ("actpass", "active", "passive"):
        raise OfferError(400, f"the offer's DTLS role {setup[:20]!r} is none of actpass, active, passive")
    group = next((value.split()[1:] for value in _all(session, "group") if value.startswith("BUNDLE ")), [])
    return Offer(
        sections=sections,
        chosen=chosen,
        bundled=sections[chosen].mid in group,
        ufrag=ufrag,
        pwd=pwd,
        lite="a=ice-lite" in session,
        fingerprints=_fingerprints(_all(video, "fingerprint") or _all(session, "fingerprint")),
        setup=setup,
        codec=_codec(video, sections[chosen].formats),
        candidates=_candidates(media, session, chosen, ufrag),
        carrier=_carrier(sections, media, chosen, group),
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


def canonical(offer: Offer) -> str:
    """The offer that aiortc gets to see.

    The profile is always shown as 42e01f, which aiortc accepts; it never says that no candidate will follow, since
    aioice then gives up before the viewer's checks can arrive from an address nobody had named.
    """
    pt = offer.codec.payload_type
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += ["a=ice-lite"] if offer.lite else []
    lines += [f"a=group:BUNDLE {offer.mid}", f"m=video 9 UDP/TLS/RTP/SAVPF {pt}", "c=IN IP4 0.0.0.0"]
    lines += [f"a=ice-ufrag:{offer.ufrag}", f"a=ice-pwd:{offer.pwd}"]
    lines += [f"a=fingerprint:{algorithm} {digest}" for algorithm, digest in offer.fingerprints]
    lines += [f"a=setup:{offer.setup}", f"a=mid:{offer.mid}", "a=recvonly", "a=rtcp-mux"]
    lines += [f"a=rtpmap:{pt} H264/90000", _fmtp(pt, "42e01f")]
    lines += [f"a=rtcp-fb:{pt} {feedback}" for feedback in offer.codec.feedback]
    lines += [f"a=candidate:{candidate.line()}" for candidate in offer.candidates]
    return _text(lines)


def widen(offer: Offer, answer: str) -> str:
    """The answer that the viewer gets: aiortc's single section, in its place among those that were offered."""
    pt = offer.codec.payload_type
    head, video = (part.splitlines() for part in _split_before(answer, "m=video"))
    video = [_fmtp(pt, offer.codec.profile) if line.startswith(f"a=fmtp:{pt} ") else line for line in video]
    transport = ("a=ice-", "a=fingerprint:", "a=setup:", "a=candidate:", "a=end-of-candidates")
    lines = [line for line in head if not line.startswith("a=group:")]
    if offer.bundled:
        first = [offer.sections[offer.carrier[0]].mid] if offer.carrier else []
        lines.append(f"a=group:BUNDLE {' '.join([*first, offer.mid])}")
    for index, section in enumerate(offer.sections):
        if index == offer.chosen:
            lines += video
        elif offer.carrier is not None and index == offer.carrier[0]:
            rtpmap = offer.carrier[1]
            lines += [f"m={section.kind} 9 {section.protocol} {rtpmap.split()[0]}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{section.mid}", "a=inactive", "a=rtcp-mux", f"a=rtpmap:{rtpmap}"]
            lines += [line for line in video if line.startswith(transport)]
        else:
            lines += [f"m={section.kind} 0 {section.protocol} {section.formats}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{section.mid}", "a=inactive"]
    return _text(lines)


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


def _codec(lines: list[str], formats: str) -> Codec:
    offered = set(formats.split())
    wanted = [value.partition(" ") for value in _all(lines, "rtcp-fb")]
    parameters = {value.partition(" ")[0]: value.partition(" ")[2] for value in _all(lines, "fmtp")}
    found: dict[str, Codec] = {}
    for value in _all(lines, "rtpmap"):
        pt, _, name = value.partition(" ")
        if name.upper() != "H264/90000" or pt not in offered or not re.fullmatch("[0-9]{1,3}", pt) or int(pt) > 127:
            continue
        pairs = dict(pair.strip().partition("=")[::2] for pair in parameters.get(pt, "").lower().split(";"))
        profile = pairs.get("profile-level-id", "42e01f")
        if pairs.get("packetization-mode") == "1" and re.fullmatch("[0-9a-f]{6}", profile) and profile[:4] not in found:
            feedback = [text for number, _, text in wanted if number in (pt, "*")]
            kept = tuple(dict.fromkeys(text for text in feedback if text in ("nack", "nack pli", "ccm fir")))
            found[profile[:4]] = Codec(int(pt), profile, kept)
    for profile in PROFILES:
        if profile in found:
            return found[profile]
    raise OfferError(406, "the offer has no H.264 with packetization-mode=1, which is what banken sends")


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
    checks reveal its address in any case.
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


def _fmtp(pt: int, profile: str) -> str:
    return f"a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"


def _split_before(text: str, mark: str) -> tuple[str, str]:
    at = text.index(mark)
    return text[:at], text[at:]


def _text(lines: list[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
