"""Recording files: the walk believes only what passes its checksum."""

import io
import random
from collections.abc import Callable

import pytest

from actors.media.h264 import H264
from actors.media.media import AccessUnit
from actors.recorder.boxes import split_boxes
from actors.recorder.cutter import Cutter
from actors.recorder.fragment import PLACE
from actors.recorder.recording_file import CHUNK, end_file, walk

from .test_cutter import RECORDING, files_of, units

NOISE = random.Random(7)


def cut(data: bytes, at: int) -> bytes:
    """As after `kill -9`."""
    return data[:at]


def zero_tail(data: bytes, at: int) -> bytes:
    """As after a power failure: the length was stored, and the content was not."""
    return data[:at] + bytes(len(data) - at)


def garbage(data: bytes, at: int) -> bytes:
    return data[:at] + NOISE.randbytes(len(data) - at)


def old_bytes(data: bytes, at: int) -> bytes:
    """As where a block of a deleted recording was used again."""
    return data[:at] + data[: len(data) - at]


def zero_page(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(min(512, len(data) - at)) + data[at + 512 :]


def flipped_bit(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]


@pytest.fixture(scope="module")
def recorded() -> bytes:
    """Three fragments of small pictures, not sealed."""
    ((data, _),) = files_of(units(30), Cutter("gate", RECORDING))
    return data


@pytest.mark.parametrize("damage", [cut, zero_tail, garbage, old_bytes, zero_page, flipped_bit])
def test_damage_costs_the_fragments_from_there_on(damage: Callable[[bytes, int], bytes], recorded: bytes) -> None:
    """At any byte: no fragment before it is lost, and none behind it is believed."""
    whole = walk(io.BytesIO(recorded))
    assert len(whole.fragments) == 3
    borders = [whole.begins_at, *(found.offset + found.size for found in whole.fragments)]
    places = {at + near for at in borders for near in range(-PLACE.size - 9, PLACE.size + 9)} | {
        *range(0, len(recorded), 31)
    }
    for at in sorted(place for place in places if 0 <= place < len(recorded)):
        damaged = damage(recorded, at)
        if damaged == recorded:
            continue
        same = next(
            (at for at, pair in enumerate(zip(recorded, damaged, strict=False)) if pair[0] != pair[1]), len(damaged)
        )
        found = walk(io.BytesIO(damaged))
        expected = sum(end <= same for end in borders[1:]) if same >= whole.begins_at else 0
        assert len(found.fragments) == expected, at
        assert found.whole == (borders[expected] if same >= whole.begins_at else 0)
        assert found.damage or found.whole == len(damaged)
        assert not found.is_sealed


def test_damage_of_the_end_costs_no_fragment(recorded: bytes) -> None:
    """Then the file is not sealed; its fragments count."""
    whole = walk(io.BytesIO(recorded))
    sealed = recorded + end_file(whole.fragments)
    for at in range(len(recorded), len(sealed)):
        for damaged in (cut(sealed, at), flipped_bit(sealed, at)):
            found = walk(io.BytesIO(damaged))
            assert (len(found.fragments), found.whole, found.is_sealed) == (3, len(recorded), False)
    assert walk(io.BytesIO(sealed + b"more")).is_sealed is False


def test_fragment_of_another_recording_does_not_follow(recorded: bytes) -> None:
    """A file holds one recording, in order and without holes."""
    whole = walk(io.BytesIO(recorded))
    first, second, third = (recorded[found.offset : found.offset + found.size] for found in whole.fragments)
    begins = recorded[: whole.begins_at]
    assert len(walk(io.BytesIO(begins + first + third)).fragments) == 1
    assert len(walk(io.BytesIO(begins + second + third)).fragments) == 2
    ((other, _),) = files_of(units(10), Cutter("gate", "fedcba9876543210"))
    foreign = other[walk(io.BytesIO(other)).begins_at :]
    found = walk(io.BytesIO(begins + first + foreign))
    assert len(found.fragments) == 1
    assert "does not follow" in found.damage


class Greedy(io.BytesIO):
    """Counts the largest read."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.most = max(self.most, len(data))
        return data


def test_walk_reads_a_bounded_part_at_once() -> None:
    """A fragment may have megabytes."""
    big = AccessUnit(H264, (*units(1)[0].units, b"\x65" + bytes(3 * CHUNK)), 0, True, 0, 0)
    big = AccessUnit(H264, big.units, 0, True, sum(map(len, big.units)), 0)
    ((data, _),) = files_of([big], Cutter("gate", RECORDING))
    file = Greedy(data)
    assert len(walk(file).fragments) == 1
    assert file.most <= CHUNK


def test_file_is_a_row_of_boxes(recorded: bytes) -> None:
    """So that a player that knows nothing of us skips what is ours."""
    sealed = recorded + end_file(walk(io.BytesIO(recorded)).fragments)
    assert [kind for kind, _ in split_boxes(sealed)] == [
        b"ftyp",
        b"moov",
        b"uuid",
        *(b"uuid", b"moof", b"mdat") * 3,
        b"mfra",
    ]


def test_fragments_of_a_file_have_a_limit(recorded: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a stranger may have millions of empty ones, each of which costs memory."""
    assert len(walk(io.BytesIO(recorded)).fragments) == 3
    monkeypatch.setattr("actors.recorder.recording_file.MOST_FRAGMENTS", 2)
    walked = walk(io.BytesIO(recorded))
    assert (len(walked.fragments), walked.damage) == (2, f"at byte {walked.whole}: more than 2 fragments")
