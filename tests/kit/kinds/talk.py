"""The dialogue of a camera, from its description to PLAY, and one kind of odd camera as a case."""

from collections.abc import Sequence
from typing import Any

import attrs

from ..cases.dialogue import Rule
from ..cases.form import Case, Expect
from .packets import Sender, plain
from .streams import Units, digests, encode, fmtp

BASE = "Content-Base: rtsp://127.0.0.1:{port}/stream/"
URL = "rtsp://127.0.0.1:{port}/stream"
TRACK = URL + "/trackID=1"
AUDIO = URL + "/trackID=2"
SESSION = "Session: 4711;timeout=60"
OK, CSEQ = "RTSP/1.0 200 OK", "CSeq: {cseq}"
HEAD = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=x", "t=0 0", "a=control:*")
NAMES = {"h264": "H264", "h265": "H265"}


@attrs.frozen
class Kind:
    """One kind of odd camera."""

    name: str
    does: str
    """The behavior of the camera, in a few words."""
    seen: str
    """Cameras or public reports; empty for one that nobody has reported."""
    case: Case
    handled: str = ""
    """Where not all pictures can be shown: what is right instead."""


def answer(*lines: str, status: str = OK, **other: Any) -> dict[str, Any]:
    return {"reply": (status, CSEQ, *lines), **other}


def by_udp(more: str = "", **other: Any) -> Rule:
    """Return the rule of a camera that agrees to UDP; `more` is added to its `Transport`."""
    line = "Transport: RTP/AVP;unicast;client_port={client_port};server_port={server_port}" + more
    return Rule("SETUP", contains={"transport": "client_port"}, **answer(line, SESSION, udp=True, **other))


def media(
    codec: str = "h264", *, protocol: str = "RTP/AVP", number: str = "96", mapped: str = "96", **other: str
) -> tuple[str, ...]:
    """Return the video section of a description. `other`: `name`, `fmtp`, `of` (the number of the fmtp), `control`."""
    name = other.get("name", f"{NAMES[codec]}/90000")
    parameters = other.get("fmtp", fmtp(codec))
    lines = [f"m=video 0 {protocol} {number}", f"a=control:{other.get('control', 'trackID=1')}"]
    lines += [f"a=rtpmap:{mapped} {name}"] if name else []
    lines += [f"a=fmtp:{other.get('of', mapped)} {parameters}"] if parameters else []
    return tuple(lines)


def talk(
    body: Sequence[str],
    *before: Rule,
    base: str = BASE,
    track: str | None = TRACK,
    audio: str | None = None,
    transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1",
    session: str = SESSION,
) -> tuple[Rule, ...]:
    """Return the rules of a camera that answers as it should, behind those of `before`.

    `track` and `audio` are the only addresses that SETUP may name; a `track` of None allows each.
    """
    described = ("Content-Type: application/sdp", *([base] if base else []))
    rules = [
        *before,
        Rule("OPTIONS", **answer("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")),
        Rule("DESCRIBE", **answer(*described, body=tuple(body))),
        Rule("SETUP", url=track, **answer(f"Transport: {transport}", session)),
    ]
    if audio is not None:
        rules += [Rule("SETUP", url=audio, **answer("Transport: RTP/AVP/TCP;unicast;interleaved=2-3", session))]
    if track is not None:
        rules += [Rule("SETUP", **answer(status="RTSP/1.0 404 Not Found"))]
    name = session.partition(": ")[2].partition(";")[0].strip()
    rules += [
        Rule("PLAY", header={"session": name}, **answer(f"Session: {name}", play=True)),
        Rule("PLAY", **answer(status="RTSP/1.0 454 Session Not Found")),
        Rule("", **answer()),
    ]
    return tuple(rules)


def show(
    codec: str = "h264",
    sent: Sequence[bytes] | None = None,
    rules: Sequence[Rule] | None = None,
    pictures: tuple[Units, ...] | None = None,
    **other: Any,
) -> Case:
    """Return a case in which all pictures come whole and in order, and nothing else.

    `sent` are the bytes of each picture, `pictures` what they show; `other` are keys of the case.
    """
    shown = encode(codec) if pictures is None else pictures
    expect = other.pop("expect", Expect(pictures=digests(codec, shown), nothing_else=True))
    data = tuple(picture.hex() for picture in (send(codec, shown) if sent is None else sent))
    name: Any = codec
    return Case(name, tuple(rules or talk((*HEAD, *media(codec)))), data, expect, **other)


def send(codec: str, pictures: tuple[Units, ...], sender: Sender | None = None) -> list[bytes]:
    """Return the bytes of pictures that are sent as they should be."""
    sender = sender or Sender()
    return [sender.picture(plain(codec, units)) for units in pictures]
