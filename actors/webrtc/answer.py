"""Writes the SDP answer to a viewer's offer, from the parsed offer. Pure.

Source: RFC 8829 (JSEP), RFC 9143 (BUNDLE), RFC 5576 (source attributes), RFC 8839 (ICE in SDP).
"""

from collections.abc import Sequence

import attrs

from .offer import MID_EXTENSION, SdpOffer, Section, Stream

CNAME = "banken"


@attrs.frozen
class Local:
    """The local end of a transport."""

    ufrag: str
    pwd: str
    fingerprint: str
    """Like `sha-256 AB:CD:...`."""
    candidates: tuple[str, ...]
    """SDP candidates, without `candidate:`."""


@attrs.frozen
class Ssrcs:
    """The SSRCs of the RTP streams that banken sends."""

    video: int
    rtx: int
    audio: int


def is_server(offer: SdpOffer) -> bool:
    """Return whether banken is the DTLS server: only for a viewer that insists on being the client (RFC 8842, 5.3)."""
    return offer.setup == "active"


def write_answer(offer: SdpOffer, local: Local, sources: Ssrcs) -> str:
    """Return the SDP answer. It has every section of the offer, in the same order; unused sections are rejected."""
    accepted = {offer.video.index: offer.video} | ({offer.audio.index: offer.audio} if offer.audio else {})
    bundle = {*accepted} if offer.carrier is None else {*accepted, offer.carrier}
    transport = [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.pwd}", f"a=fingerprint:{local.fingerprint}"]
    transport.append(f"a=setup:{'passive' if is_server(offer) else 'active'}")
    transport += [*(f"a=candidate:{line}" for line in local.candidates), "a=end-of-candidates"]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if offer.bundled:
        lines.append(f"a=group:BUNDLE {' '.join(offer.sections[index].mid for index in sorted(bundle))}")
    for index, section in enumerate(offer.sections):
        stream = accepted.get(index)
        if stream is not None:
            lines += [*_accept(stream, section.kind, section.protocol, sources), "a=rtcp-mux", *transport]
        elif index in bundle:
            lines += [*_decline(section, 9, section.formats.split()[:1]), *transport]
        else:  # for stacks: rtpmaps for pion, candidates in the first section, a fingerprint in each for GStreamer
            lines += [*_decline(section, 0, section.formats.split()), *transport]
    return "\r\n".join([*lines, ""])


def _decline(section: Section, port: int, formats: Sequence[str]) -> list[str]:
    """Return a section in which nothing is sent: rejected with `port` 0, otherwise inactive."""
    lines = [f"m={section.kind} {port} {section.protocol} {' '.join(formats)}", "c=IN IP4 0.0.0.0"]
    lines += [f"a=mid:{section.mid}", "a=inactive"]
    lines += ["a=rtcp-mux"] if section.kind in ("audio", "video") else []  # aiortc needs it in rejected ones, too
    return lines + [f"a=rtpmap:{rtpmap}" for rtpmap in section.rtpmaps if rtpmap.partition(" ")[0] in formats]


def _accept(stream: Stream, kind: str, protocol: str, sources: Ssrcs) -> list[str]:
    payloads = list(stream.payloads.values())
    numbers = [p.number for p in payloads] + [p.rtx for p in payloads if p.rtx is not None]
    lines = [f"m={kind} 9 {protocol} {' '.join(map(str, numbers))}", "c=IN IP4 0.0.0.0", f"a=mid:{stream.mid}"]
    lines += ["a=sendonly", f"a=msid:{CNAME} {kind}"]
    if stream.mid_extension is not None:
        lines.append(f"a=extmap:{stream.mid_extension} {MID_EXTENSION}")
    for payload in payloads:
        lines.append(f"a=rtpmap:{payload.number} {payload.rtpmap}")
        lines += [f"a=fmtp:{payload.number} {payload.fmtp}"] if payload.fmtp else []
        lines += [f"a=rtcp-fb:{payload.number} {feedback}" for feedback in payload.feedback]
        if payload.rtx is not None:
            lines += [f"a=rtpmap:{payload.rtx} rtx/90000", f"a=fmtp:{payload.rtx} apt={payload.number}"]
    if kind == "audio":
        return [*lines, *_sources([sources.audio])]
    if any(payload.rtx is not None for payload in payloads):
        return [*lines, f"a=ssrc-group:FID {sources.video} {sources.rtx}", *_sources([sources.video, sources.rtx])]
    return [*lines, *_sources([sources.video])]


def _sources(ssrcs: Sequence[int]) -> list[str]:
    return [f"a=ssrc:{ssrc} cname:{CNAME}" for ssrc in ssrcs]
