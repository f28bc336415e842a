"""The answer to a viewer's offer, written from what was understood of it. Pure.

Source: RFC 8829 (JSEP), RFC 9143 (BUNDLE), RFC 5576 (source attributes), RFC 8839 (ICE in SDP).
"""

from collections.abc import Sequence

import attrs

from .offer import MID_EXTENSION, Offer, Stream

CNAME = "banken"


@attrs.frozen
class Local:
    """Our end of a transport."""

    ufrag: str
    pwd: str
    fingerprint: str
    """Like `sha-256 AB:CD:...`."""
    candidates: tuple[str, ...]
    """As in an SDP, behind `candidate:`."""


@attrs.frozen
class Sources:
    """The SSRCs of what will be sent."""

    video: int
    rtx: int
    audio: int


def is_server(offer: Offer) -> bool:
    """Whether the answer makes us the DTLS server: only for those who insist on being the client (RFC 8842, 5.3)."""
    return offer.setup == "active"


def write_answer(offer: Offer, local: Local, sources: Sources) -> str:
    """The SDP answer: every section in its place, what is not taken refused."""
    accepted = {offer.video.index: offer.video} | ({offer.audio.index: offer.audio} if offer.audio else {})
    transport = [f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.pwd}", f"a=fingerprint:{local.fingerprint}"]
    transport += [f"a=setup:{'passive' if is_server(offer) else 'active'}", "a=rtcp-mux"]
    transport += [*(f"a=candidate:{line}" for line in local.candidates), "a=end-of-candidates"]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if offer.bundled:
        carried = [offer.carrier[0]] if offer.carrier else []
        lines.append(f"a=group:BUNDLE {' '.join(offer.sections[i].mid for i in sorted([*carried, *accepted]))}")
    for index, section in enumerate(offer.sections):
        stream = accepted.get(index)
        if stream is not None:
            lines += _accept(stream, section.kind, section.protocol, sources) + transport
        elif offer.carrier is not None and index == offer.carrier[0]:
            rtpmap = offer.carrier[1]
            lines += [f"m={section.kind} 9 {section.protocol} {rtpmap.split()[0]}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{section.mid}", "a=inactive", f"a=rtpmap:{rtpmap}", *transport]
        else:
            lines += [f"m={section.kind} 0 {section.protocol} {section.formats}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{section.mid}", "a=inactive"]
    return "\r\n".join([*lines, ""])


def _accept(stream: Stream, kind: str, protocol: str, sources: Sources) -> list[str]:
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
