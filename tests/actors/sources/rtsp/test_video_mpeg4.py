"""MPEG-4 part 2 over RTP: its pictures are those of the camera, from a key frame on."""

import pytest

from actors.media.media import SourceLoss
from actors.media.mpeg4 import MPEG4, split_picture
from actors.media.oddities import Oddity
from actors.sources.rtsp.video_mpeg4 import Mpeg4Depacketizer
from tests.kit.media import mpeg4_pictures
from tests.kit.pictures import pieces

GROUP_HEADER = b"\0\0\1\xb3\0\x10\7"


class Camera:
    """Sends pictures to a depacketizer. `pictures` and `told` are what it has published."""

    def __init__(self) -> None:
        self.pictures: list[tuple[bytes, int]] = []
        self.told: list[list[bytes]] = []
        self.loss = SourceLoss()
        self.reader = Mpeg4Depacketizer(self._publish, self.told.append, self.loss, lambda _: None)

    def _publish(self, units: list[bytes], timestamp: int) -> None:
        self.pictures.append((MPEG4.join(units), timestamp))

    def send(self, payloads: list[bytes], timestamp: int, markers: tuple[int, ...] = (-1,)) -> None:
        """Send one picture; `markers` are the indexes of the payloads with the marker."""
        marked = {index % len(payloads) for index in markers}
        for index, payload in enumerate(payloads):
            packet = bytes(12) + payload
            self.reader.take(packet, 12, len(packet), timestamp, index in marked)

    @property
    def shown(self) -> list[int]:
        return [at for _, at in self.pictures]


SENT = mpeg4_pictures(128, 96, 6, 3, busy=True)
"""Two groups of three."""


def test_pictures_in_fragments_are_joined() -> None:
    """Byte for byte, in their order."""
    camera = Camera()
    for at, picture in enumerate(SENT):
        camera.send(list(pieces(picture)), at)
    assert camera.pictures == [(picture, at) for at, picture in enumerate(SENT)]
    assert camera.loss == SourceLoss()


def test_picture_without_a_marker_ends_with_the_next_one() -> None:
    """By its time stamp."""
    camera = Camera()
    for at, picture in enumerate(SENT):
        camera.send(list(pieces(picture)), at, ())
    assert camera.shown == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("lost", "shown"), [(0, [3, 4, 5]), (1, [0, 3, 4, 5]), (2, [0, 1, 3, 4, 5]), (3, [0, 1, 2])])
@pytest.mark.parametrize("whole", [False, True])
def test_pictures_after_a_loss_wait_for_the_next_key_frame(lost: int, shown: list[int], whole: bool) -> None:
    """Whether one packet is missing, or all of a picture."""
    camera = Camera()
    for at, picture in enumerate(SENT):
        payloads = list(pieces(picture))
        if at == lost and whole:
            camera.reader.gap()
            continue
        if at == lost:
            camera.send(payloads[:1], at, ())
            camera.reader.gap()
            payloads = payloads[2:]
        camera.send(payloads, at)
    assert camera.shown == shown


def test_group_header_belongs_to_its_picture() -> None:
    """In another packet, or in that of the picture; the key frame stays one."""
    configuration, picture = split_picture(SENT[0])
    for front in ([configuration, GROUP_HEADER], [configuration + GROUP_HEADER], [configuration]):
        camera = Camera()
        camera.send([*front, *pieces(picture)], 0)
        assert camera.pictures == [(b"".join((*front, picture)), 0)]
    camera = Camera()
    camera.send([configuration + GROUP_HEADER + picture], 0)
    assert camera.shown == [0]


def test_configuration_alone_is_passed_on() -> None:
    """A camera may send it in a packet with its own marker."""
    configuration, picture = split_picture(SENT[0])
    camera = Camera()
    camera.send([configuration], 0)
    camera.send(list(pieces(picture)), 0)
    assert camera.told == [[configuration]]
    assert camera.pictures == [(picture, 0)]


def test_corrupt_configuration_is_left_out() -> None:
    """The picture behind it is shown with the last good one."""
    configuration, picture = split_picture(SENT[0])
    camera = Camera()
    camera.reader.learn([configuration])
    camera.send([configuration[:-12], *pieces(picture)], 0)
    assert camera.pictures == [(picture, 0)]
    assert camera.loss.oddities == {Oddity.BAD_PARAMETER_SETS: 1}


def test_early_markers_cost_the_pictures_up_to_the_next_key_frame() -> None:
    """Then they are ignored."""
    camera = Camera()
    for at, picture in enumerate((*SENT, SENT[0])):
        payloads = list(pieces(picture))
        camera.send(payloads, at, tuple(range(len(payloads))))
    assert camera.shown == [0, 3, 4, 5]
    assert [picture for picture, at in camera.pictures if at] == list(SENT[3:])
    assert camera.loss.oddities == {Oddity.EARLY_MARKER: 1}


def test_fragment_without_a_beginning_is_malformed() -> None:
    """It makes no picture."""
    camera = Camera()
    camera.send([SENT[0]], 0)
    camera.send([b"\x12\x34\x56"], 1)
    camera.send([SENT[3]], 2)
    assert camera.shown == [0, 2]
    assert (camera.loss.malformed, camera.loss.skipped) == (1, 1)
