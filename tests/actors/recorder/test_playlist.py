"""The playlist of recorded video names bytes that can be played, and leaves gaps out."""

import io
import re
from pathlib import Path

import av
import pytest

from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE
from actors.recorder.footage import Footage, FootageFile
from actors.recorder.playlist import moved, playlist
from actors.recorder.recording_file import read_beginning
from tests.actors.recorder.test_archive_writer import archive, record
from tests.kit.media import FPS

FAR = 2**62
SECOND_NS = 10**9


@pytest.fixture
def files(tmp_path: Path) -> list[FootageFile]:
    """Three files: ten seconds with ten pictures a second, and a key frame every two."""
    folder = tmp_path / "recordings"
    writer = archive(folder)
    record(writer, 100)
    writer.seal("gate")
    footage = Footage(folder)
    found = list(footage.files("gate", 0, FAR))
    footage.close()
    return found


def pieces(text: str, folder: Path) -> list[bytes]:
    """The bytes of each segment, after its initialization."""
    found, beginning = list[bytes](), b""
    for line in text.splitlines():
        if made := re.fullmatch(r'#EXT-X-MAP:URI="(.*)-beginning.mp4"', line):
            with open(folder / f"{made[1]}.mp4", "rb") as file:
                beginning = read_beginning(file)[1]
        elif made := re.fullmatch(r"(.*)-(\d+)-(\d+)-(-?\d+)\.m4s", line):
            offset, size, shift = int(made[2]), int(made[3]), int(made[4])
            data = (folder / f"{made[1]}.mp4").read_bytes()[offset : offset + size]
            found.append(beginning + moved(data, shift, 0))
    return found


def frames(data: bytes) -> int:
    with av.open(io.BytesIO(data), "r") as container:
        return len([*container.decode(video=0)])


def test_every_segment_can_be_played(files: list[FootageFile], tmp_path: Path) -> None:
    """Alone, with its initialization; together they have all pictures, and their lengths are as stated."""
    text = playlist(files, 0, FAR)
    assert [frames(piece) for piece in pieces(text, tmp_path / "recordings" / "gate")] == [20] * 5
    assert re.findall(r"#EXTINF:([\d.]+),", text) == ["2.000"] * 5
    assert "#EXT-X-TARGETDURATION:2\n" in text
    assert text.endswith("#EXT-X-ENDLIST\n")


def test_files_of_one_recording_are_one_video(files: list[FootageFile], tmp_path: Path) -> None:
    """Their times go on, also from the middle of a file: ffmpeg loses the pictures after a time that goes back."""
    for from_ns, first, count in ((0, 0, 5), (files[0].began_ns + 3 * SECOND_NS, 20, 4)):
        text = playlist(files, from_ns, FAR)
        assert "#EXT-X-DISCONTINUITY\n" not in text and text.count("#EXT-X-MAP:") == 1
        found = pieces(text, tmp_path / "recordings" / "gate")
        size = len(files[0].initialization)
        whole = found[0] + b"".join(piece[size:] for piece in found[1:])
        with av.open(io.BytesIO(whole), "r") as container:
            times = [packet.pts for packet in container.demux(video=0) if packet.size]
        assert times == [number * CLOCK_RATE // FPS for number in range(count * 20)], first


def test_gap_is_a_discontinuity(files: list[FootageFile], tmp_path: Path) -> None:
    """The video after it says when it was. Its times go on after those before the gap."""
    text = playlist([files[0], files[2]], 0, FAR)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert re.findall(r"PROGRAM-DATE-TIME:(.*)", text) == ["2027-01-15T08:00:00.000Z", "2027-01-15T08:00:08.000Z"]
    last = pieces(text, tmp_path / "recordings" / "gate")[-1]
    with av.open(io.BytesIO(last), "r") as container:
        assert next(packet.pts for packet in container.demux(video=0)) == 4 * CLOCK_RATE


def test_other_bytes_are_no_segment(files: list[FootageFile], tmp_path: Path) -> None:
    """Any other offset or size, and times that cannot be, are refused: none is a fault."""
    data = (tmp_path / "recordings" / files[0].path).read_bytes()
    begin, end = files[0].fragments[0].offset, files[0].fragments[1].offset
    assert moved(data[begin:end], 5, 48_000)
    for wrong in (data[begin + 1 : end], data[begin : end - 1], data[begin : end + 9], data[:end], bytes(200)):
        with pytest.raises(BitstreamError):
            moved(wrong, 0, 0)
    for shift in (-1, 2**63):
        with pytest.raises(BitstreamError, match="a time that cannot be"):
            moved(data[begin:end], shift, 0)


def test_time_begins_with_the_key_frame_before_it(files: list[FootageFile], tmp_path: Path) -> None:
    """And ends with what begins before its end."""
    from_ns = files[0].began_ns + 3 * SECOND_NS
    within = [file for file in files if file.began_ns < from_ns + 2 * SECOND_NS]
    text = playlist(within, from_ns, from_ns + 2 * SECOND_NS)
    assert re.findall(r"PROGRAM-DATE-TIME:(.*)", text) == ["2027-01-15T08:00:02.000Z", "2027-01-15T08:00:04.000Z"]
    assert [frames(piece) for piece in pieces(text, tmp_path / "recordings" / "gate")] == [20, 10]


def test_playlist_without_video_is_empty() -> None:
    """Players take it as a video that has ended."""
    assert playlist([], 0, FAR).splitlines()[-1] == "#EXT-X-ENDLIST"
