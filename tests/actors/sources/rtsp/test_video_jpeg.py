"""JPEG over RTP: its pictures are those of the camera, whatever is lost, odd or left out."""

import pytest

from actors.media.bitstream import MAX_ACCESS_UNIT
from actors.media.decoder.codec import decode
from actors.media.jpeg import picture_size
from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp.reasons import Ended
from actors.sources.rtsp.video_jpeg import NO_SIZE, PATIENCE, JpegDepacketizer
from tests.kit.media import jpegs
from tests.kit.pictures import JpegSegments, extension_of, jpeg_payloads

Pictures = list[tuple[bytes, int]]


class Camera:
    """Sends payloads to a depacketizer. `pictures` are what it has published, with their time stamps."""

    def __init__(self, size: tuple[int, int] = (0, 0)) -> None:
        self.pictures: Pictures = []
        self.loss = SourceLoss()
        self.reader = JpegDepacketizer(self._publish, lambda _: None, self.loss, lambda _: None, size)

    def _publish(self, units: list[bytes], timestamp: int) -> None:
        (jpeg,) = units
        self.pictures.append((jpeg, timestamp))

    def send(self, payloads: list[bytes], timestamp: int = 1, markers: tuple[int, ...] = (-1,)) -> None:
        """Send one picture; `markers` are the indexes of the payloads with the marker."""
        marked = {index % len(payloads) for index in markers}
        for index, payload in enumerate(payloads):
            packet = bytes(12) + payload
            self.reader.take(packet, 12, len(packet), timestamp, index in marked)


def pixels(jpeg: bytes) -> bytes:
    return b"".join(map(bytes, decode("mjpeg", jpeg).planes))


def moving(count: int = 2, width: int = 128, height: int = 96) -> list[bytes]:
    """Return JPEGs with the usual Huffman tables, large enough for several payloads."""
    return list(jpegs(width, height, count, busy=True))


@pytest.mark.parametrize("size", [(128, 96), (640, 360), (1920, 1080)])
def test_jpeg_has_the_pixels_of_the_original(size: tuple[int, int]) -> None:
    """With the header that RTP leaves out; also with restart markers, which ffmpeg's encoder uses."""
    camera, sent = Camera(), moving(2, *size)
    for index, jpeg in enumerate(sent):
        camera.send(jpeg_payloads(jpeg, piece=1400), index)
    assert [pixels(jpeg) for jpeg, _ in camera.pictures] == list(map(pixels, sent))
    assert [at for _, at in camera.pictures] == [0, 1]
    assert picture_size(camera.pictures[0][0]) == (size[0], size[1] // 8 * 8)


@pytest.mark.parametrize(("kind", "sampling"), [(0, 0x21), (1, 0x22), (64, 0x21), (65, 0x22)])
def test_type_tells_the_sampling_and_the_restart_markers(kind: int, sampling: int) -> None:
    """4:2:2 or 4:2:0; from 64 on, the packets have the restart interval."""
    camera = Camera()
    camera.send(jpeg_payloads(moving(1)[0], kind=kind))
    segments = JpegSegments.of(camera.pictures[0][0]).segments
    assert segments[0xC0][0][7] == sampling
    assert (0xDD in segments) == (kind >= 64)


@pytest.mark.parametrize("quality", [0, 1, 49, 50, 99, 100, 127])
def test_qualities_up_to_99_have_the_tables_of_the_standard(quality: int) -> None:
    """Reserved values count as the nearest one. At 50, the tables are those of T.81, annex K."""
    camera = Camera()
    camera.send(jpeg_payloads(moving(1)[0], quality=quality))
    luma, chroma = JpegSegments.of(camera.pictures[0][0]).segments[0xDB]
    assert (luma[0], chroma[0], len(luma), len(chroma)) == (0, 1, 65, 65)
    if quality == 50:
        assert (luma[1:4], luma[-1], chroma[1:4], chroma[-1]) == (b"\x10\x0b\x0c", 99, b"\x11\x12\x12", 99)
    if quality >= 99:
        assert max(luma[1:]) <= 3
    assert pixels(camera.pictures[0][0])


def test_tables_of_a_quality_are_kept() -> None:
    """From 128 to 254, they come once. A packet without them and none before is malformed; 255 has them each time."""
    first, second = moving()
    camera = Camera()
    camera.send(jpeg_payloads(second, quality=200, tables=b""), 0)
    assert (camera.pictures, camera.loss.malformed, camera.loss.skipped) == ([], 1, 1)
    camera.send(jpeg_payloads(first, quality=200), 1)
    camera.send(jpeg_payloads(first, quality=255, tables=bytes([7]) * 128), 2)
    camera.send(jpeg_payloads(second, quality=200, tables=b""), 3)
    camera.send(jpeg_payloads(second, quality=255, tables=b""), 4)
    camera.send(jpeg_payloads(second, tables=JpegSegments.of(first).tables), 5)
    assert [at for _, at in camera.pictures] == [1, 2, 3, 5]
    assert camera.pictures[2][0] == camera.pictures[3][0]
    assert camera.loss.malformed == 2


def test_tables_of_16_bits_become_8_bits_where_that_is_possible() -> None:
    """Baseline JPEG has 8; others keep their values."""
    (jpeg,) = moving(1)
    table = JpegSegments.of(jpeg).tables[:64]
    wide = b"".join(bytes((0, value)) for value in table)
    camera = Camera()
    camera.send(jpeg_payloads(jpeg, tables=wide + table, precision=1), 0)
    camera.send(jpeg_payloads(jpeg, tables=wide[:126] + b"\x01\x00" + table, precision=1), 1)
    camera.send(jpeg_payloads(jpeg, tables=table), 2)
    assert pixels(camera.pictures[0][0]) == pixels(camera.pictures[2][0]) == pixels(jpeg)
    assert [JpegSegments.of(jpeg).segments[0xDB][0][0] for jpeg, _ in camera.pictures] == [0, 0x10, 0]
    assert pixels(camera.pictures[1][0])


@pytest.mark.parametrize("lost", range(5))
def test_picture_with_a_lost_packet_is_dropped_and_counted(lost: int) -> None:
    """Only that one; the same if the sequence numbers do not tell it."""
    first, second = moving()
    for is_noticed in (True, False):
        camera, payloads = Camera(), jpeg_payloads(first)
        assert len(payloads) > 5
        camera.send(payloads[:lost], 1, ()) if lost else None
        if is_noticed:
            camera.reader.gap()
        camera.send(payloads[lost + 1 :], 1)
        camera.send(jpeg_payloads(second), 2)
        assert [at for _, at in camera.pictures] == [2]
        assert camera.loss.skipped == 1


def test_picture_whose_end_is_lost_is_dropped() -> None:
    """The next one is intact: it begins with the first byte of its scan."""
    first, second = moving()
    camera = Camera()
    camera.send(jpeg_payloads(first)[:-1], 1, ())
    camera.reader.gap()
    camera.send(jpeg_payloads(second), 2)
    assert [at for _, at in camera.pictures] == [2]
    assert camera.loss.skipped == 1


def test_lost_picture_costs_no_other() -> None:
    """Each JPEG is whole in itself."""
    camera = Camera()
    for at, jpeg in enumerate(moving()):
        camera.send(jpeg_payloads(jpeg), at)
        camera.reader.gap()
    assert [at for _, at in camera.pictures] == [0, 1]
    assert camera.loss.skipped == 0


@pytest.mark.parametrize("same_time", [False, True])
def test_picture_without_a_marker_ends_with_the_next_one(same_time: bool) -> None:
    """By its time stamp, or because the next one begins."""
    camera, sent = Camera(), moving(3)
    for at, jpeg in enumerate(sent):
        camera.send(jpeg_payloads(jpeg), 0 if same_time else at, ())
    assert [pixels(jpeg) for jpeg, _ in camera.pictures] == list(map(pixels, sent[:2]))


def test_early_markers_cost_one_picture() -> None:
    """Then they are ignored, and the oddity is named once."""
    camera, sent = Camera(), moving(4)
    for at, jpeg in enumerate(sent):
        camera.send(payloads := jpeg_payloads(jpeg), at, tuple(range(len(payloads))))
    assert [pixels(jpeg) for jpeg, at in camera.pictures if at] == list(map(pixels, sent[1:3]))
    assert camera.loss.oddities == {Oddity.EARLY_MARKER: 1}


@pytest.mark.parametrize("padded", [b"", b"\xff\xd9", b"\xff\xd9\0\0\0"])
def test_scan_ends_with_its_marker(padded: bytes) -> None:
    """Cameras send it, leave it out, or send zeros behind it."""
    (jpeg,) = moving(1)
    camera = Camera()
    camera.send(jpeg_payloads(jpeg, padded=padded))
    assert camera.pictures[0][0].endswith(b"\xff\xd9")
    assert pixels(camera.pictures[0][0]) == pixels(jpeg)


def test_size_of_the_description_is_that_of_larger_pictures() -> None:
    """RTP has no number for more than 2040 pixels; the packets name 0."""
    (jpeg,) = moving(1, 2560, 1440)
    camera = Camera((2560, 1440))
    camera.send(jpeg_payloads(jpeg, size=(0, 0), piece=1400))
    assert picture_size(camera.pictures[0][0]) == (2560, 1440)
    assert pixels(camera.pictures[0][0]) == pixels(jpeg)


@pytest.mark.parametrize("before", [b"", b"\xab\xac\0\3" + bytes(12)])
def test_extension_of_onvif_has_the_size_and_the_tables(before: bytes) -> None:
    """Also behind the extension of a replay. It belongs to its own packet only."""
    first, second = moving(2, 2560, 1440)
    camera = Camera()
    camera.reader.extend(before + extension_of(first))
    camera.send(jpeg_payloads(first, size=(0, 0), quality=50, piece=1400), 1)
    camera.send(jpeg_payloads(second, size=(0, 0), piece=1400), 2)
    assert [at for _, at in camera.pictures] == [1]
    assert pixels(camera.pictures[0][0]) == pixels(first)


def test_pictures_without_a_size_end_with_a_reason() -> None:
    """After a number of them: one may be damaged."""
    payloads = jpeg_payloads(moving(1)[0], size=(0, 0))
    camera = Camera()
    for at in range(PATIENCE - 1):
        camera.send(payloads, at)
    with pytest.raises(Ended) as ended:
        camera.send(payloads, PATIENCE)
    assert ended.value.reason == NO_SIZE
    assert "2040 pixels" in NO_SIZE.text


@pytest.mark.parametrize("kind", [2, 5, 66, 128, 255])
def test_other_types_end_with_a_reason(kind: int) -> None:
    """No standard defines them."""
    payloads = jpeg_payloads(moving(1)[0], kind=kind)
    camera = Camera()
    for at in range(PATIENCE - 1):
        camera.send(payloads, at)
    with pytest.raises(Ended, match=f"JPEG of type {kind}, "):
        camera.send(payloads, PATIENCE)


def test_pictures_are_bounded() -> None:
    """A picture without an end is dropped at the limit, and the next one is shown."""
    camera = Camera()
    (jpeg,) = moving(1)
    first = jpeg_payloads(jpeg, piece=10**6)[0]
    piece = first[:8] if not first[4] & 64 else first[:12]
    data = bytes(60_000)
    camera.send([first], 0, ())
    for at in range(len(first) - len(piece) - 132, MAX_ACCESS_UNIT + 10**6, len(data)):
        camera.send([piece[:1] + at.to_bytes(3) + piece[4:] + data], 0, ())
    camera.send(jpeg_payloads(jpeg), 1)
    assert [at for _, at in camera.pictures] == [1]
    assert camera.loss.oddities == {Oddity.HUGE_PICTURE: 1}


def test_no_cut_payload_raises_an_error() -> None:
    """Each is malformed, and costs its own picture."""
    first, second = moving()
    whole = jpeg_payloads(first)
    for end in range(1, 160):
        camera = Camera()
        camera.send([whole[0][:end], *whole[1:]], 0)
        camera.send(jpeg_payloads(second), 1)
        assert [at for _, at in camera.pictures] == [1]


def test_incomplete_picture_of_another_source_is_discarded() -> None:
    """Its fragments never join those of the next source."""
    first, second = moving()
    camera = Camera()
    camera.send(jpeg_payloads(first)[:2], 5, ())
    camera.reader.restart()
    camera.send(jpeg_payloads(second), 5)
    assert [pixels(jpeg) for jpeg, _ in camera.pictures] == [pixels(second)]
    assert camera.loss.skipped == 1
