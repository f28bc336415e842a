"""Cameras with JPEG and MPEG-4 part 2: they become live, with the right codec and size."""

from collections.abc import Iterator, Sequence
from typing import Any

from actors.media.mpeg4 import split_picture

from ..cases.form import Case, Expect, Video
from ..media import jpegs, mpeg4_pictures
from ..pictures import extension_of, jpeg_payloads, pieces
from .packets import Payloads, Sender
from .streams import HEIGHT, WIDTH
from .talk import HEAD, Kind, show, talk

COUNT = 8
GROUP_HEADER = b"\0\0\1\xb3\0\x10\7"


def kinds() -> Iterator[Kind]:
    yield from _jpeg()
    yield from _mpeg4()


def shown(codec: str, body: Sequence[str], sent: Sequence[bytes], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Case:
    """Return a camera that sends this without end."""
    expect = Expect(video=Video(codec, *size))
    return show(codec, sent, talk((*HEAD, *body)), pictures=(), expect=expect, loop=True)


def _jpeg() -> Iterator[Kind]:
    plain = ("m=video 0 RTP/AVP 26", "a=control:trackID=1")
    small, large = jpegs(WIDTH, HEIGHT, COUNT, busy=True), jpegs(2560, 1440, 2, busy=True)

    def kind(name: str, does: str, *more: str, seen: str = "", **packed: Any) -> Kind:
        sender = Sender(number=26)
        sent = [sender.picture(jpeg_payloads(jpeg, **packed)) for jpeg in small]
        return Kind(f"JPEG: {name}", does, seen, shown("mjpeg", (*plain, *more), sent))

    yield kind("tables in each picture", "quality 255", "a=rtpmap:26 JPEG/90000")
    yield kind("no name", "payload type 26 without rtpmap")
    yield kind("tables of the standard", "quality 50", quality=50)
    yield kind("no end of the scan", "no EOI marker behind the scan", padded=b"")
    yield kind("without restart markers", "type 1, though the scan has some", kind=1)
    sender, sent = Sender(number=26), []
    for index, jpeg in enumerate(small):
        sent.append(sender.picture(jpeg_payloads(jpeg, quality=200, tables=b"" if index else None)))
    yield Kind("JPEG: tables once", "quality 200, tables in the first picture only", "", shown("mjpeg", plain, sent))
    sender = Sender(number=26)
    endless = [sender.picture(jpeg_payloads(jpeg), ()) for jpeg in small]
    yield Kind("JPEG: no marker", "the marker never comes", "", shown("mjpeg", plain, endless))
    for line in ("x-dimensions:2560,1440", "framesize:26 2560-1440"):
        sender = Sender(number=26)
        sent = [sender.picture(jpeg_payloads(jpeg, size=(0, 0), piece=1400)) for jpeg in large]
        described = (*plain, f"a={line}")
        yield Kind(f"JPEG: {line}", "the packets say 0 x 0", "", shown("mjpeg", described, sent, (2560, 1440)))
    sender = Sender(number=26)
    extended = [_extended(sender, jpeg) for jpeg in large]
    does = "the size in a header extension 0xFFD8; the packets say 0 x 0"
    yield Kind("JPEG: extension of ONVIF", does, "SharpRTSP#95", shown("mjpeg", plain, extended, (2560, 1440)))


def _extended(sender: Sender, jpeg: bytes) -> bytes:
    """Return a picture whose first packet has its header in an extension."""
    first, *others = jpeg_payloads(jpeg, size=(0, 0), piece=1400)
    data = sender.packet(first, False, head=0x90, middle=extension_of(jpeg))
    return data + sender.picture(others)


def _mpeg4() -> Iterator[Kind]:
    pictures = mpeg4_pictures(WIDTH, HEIGHT, COUNT, 4, busy=True)
    configuration = split_picture(pictures[0])[0]
    bare = ("m=video 0 RTP/AVP 96", "a=control:trackID=1", "a=rtpmap:96 MP4V-ES/90000")
    described = (*bare, f"a=fmtp:96 profile-level-id=1;config={configuration.hex()}")

    def kind(name: str, does: str, body: Sequence[str], packed: Sequence[Payloads], marker: int | None = -1) -> Kind:
        sender = Sender()
        sent = [sender.picture(payloads, () if marker is None else (marker,)) for payloads in packed]
        return Kind(f"MPEG-4: {name}", does, "", shown("mpeg4", body, sent))

    whole = [list(pieces(picture)) for picture in pictures]
    without = [list(pieces(split_picture(picture)[-1])) for picture in pictures]
    yield kind("configuration in both", "config= and in front of each key frame", described, whole)
    yield kind("configuration in band", "no config=", bare, whole)
    yield kind("configuration in the description", "config= only", described, without)
    apart = [
        [*split_picture(picture)[:-1], GROUP_HEADER, *pieces(split_picture(picture)[-1])] if index % 4 == 0 else parts
        for index, (picture, parts) in enumerate(zip(pictures, whole, strict=True))
    ]
    yield kind("group headers", "configuration and group header in their own packets", bare, apart)
    yield kind("no marker", "the marker never comes", described, whole, None)
