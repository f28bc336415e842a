"""Cameras that behave oddly while they are recorded: every file plays, and each gap is exact."""

from pathlib import Path

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.media.hub import Hub
from actors.media.media import AudioFormat
from actors.recorder.archive_writer import list_files
from tests.kit.media import FPS, access_units

from .test_archive_writer import walked
from .test_recorder import TICK, Site, between, recording


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is moved while the thread works, which is no slow disk."""
    monkeypatch.setattr("actors.recorder.archive.SLOW_S", 1e6)
    monkeypatch.setattr("actors.recorder.archive.ABANDON_S", 1e9)


async def publish(site: Site, hub: Hub, index: int, pts: int) -> None:
    """Publish one access unit, and let a tenth of a second pass."""
    hub.publish(access_units()[index], pts)
    await wait_all_tasks_blocked()
    await site.written()
    site.clock.jump(1 / FPS)


async def test_camera_that_reconnects_every_three_seconds_has_exact_gaps(tmp_path: Path, mock_clock: MockClock) -> None:
    """No file is lost or damaged, and nothing is said twice."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        for _ in range(10):
            await site.send(20)
            await site.lose()
            await site.connect()
        await site.send(20)
        told, gaps = await site.told(), await site.gaps()
    assert told == between(site.footage())
    assert [kind for kind, _, _ in gaps] == ["RecordingStarted", *["RecordingInterrupted", "RecordingResumed"] * 10]
    assert site.video() == [20] * 11


async def test_group_of_forty_seconds_is_one_file_without_a_gap(tmp_path: Path, mock_clock: MockClock) -> None:
    """Fragments do not wait for a key frame, although the hub keeps no group of that length."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await publish(site, site.hub, 0, 0)
        for number in range(1, 40 * FPS):
            await publish(site, site.hub, 1 + number % 19, number * TICK)
        assert [kind for kind, _, _ in await site.gaps()] == ["RecordingStarted"]
    assert site.video() == [40 * FPS]


@pytest.mark.parametrize("leap_s", [3600, -3600, 12, -12])
async def test_time_stamps_that_leap_do_not_reach_the_files(leap_s: int, tmp_path: Path, mock_clock: MockClock) -> None:
    """The recording follows the arrival; the journal has a gap for all that it leaves out."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        for number in range(25):
            await publish(site, site.hub, number % 20, 10**9 + number * TICK)
        for number in range(25, 65):
            await publish(site, site.hub, number % 20, 10**9 + leap_s * 90_000 + number * TICK)
        told = await site.told()
    footage = site.footage()
    assert told == [gap for gap in between(footage) if gap[1] != gap[0]]
    assert footage[-1][1] - footage[0][0] < 9 * 10**9, "the leap is not in the times"
    assert all(walked(site.folder / path).is_sealed for path in list_files(site.folder))


async def test_audio_without_video_is_not_recorded(tmp_path: Path, mock_clock: MockClock) -> None:
    """Nothing begins, and nothing crashes; the video that comes later is recorded."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        site.hub.set_audio(AudioFormat("aac", 48_000, 2, b"\x11\x90"))
        for number in range(100):
            site.hub.publish_audio(bytes(100), number * 1920)
            site.clock.jump(0.02)
            await wait_all_tasks_blocked()
        assert await site.gaps() == []
        await site.send(20)
        assert [kind for kind, _, _ in await site.gaps()] == ["RecordingStarted"]
    assert site.video() == [20]
