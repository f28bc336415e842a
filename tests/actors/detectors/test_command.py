"""Programs that detect: they get pictures, and report detections. All else that they do has a reason and a bound."""

import os
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from actors.detectors import command, crew
from actors.detectors.command import KEPT, MOST_KEPT, MOST_WRONG, SentPictures
from actors.detectors.pictures import DetectorPicture
from actors.media.h264 import H264
from actors.media.hub import Still
from supervisor.config.config import Detector
from supervisor.domain import events as e
from supervisor.domain.ids import NO_CAMERA
from tests.kit.detectors import Detecting, jpeg, open_detectors, program
from tests.kit.domain import GATE, YARD
from tests.kit.processes import descendants, read_process, wait_until
from tests.kit.world import FakeProcess

SEES = """
while True:
    head, data = picture()
    say(head, box=[0.1, 0.2, 0.3, 0.4])
"""


async def test_program_gets_pictures_and_its_detections_are_journaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, caused by the start of its child, with the picture as thumbnail; the program's state is shown."""
    monkeypatch.setattr(crew, "PROVED_S", 0.1)
    async with open_detectors(program(SEES)) as here:
        made = await here.wait_made(2)
        await wait_until(lambda: here.of().state == "running", 30, what="a program that works")
        assert {(each.by, each.label, each.score, each.box) for each in made} == {
            ("yolo", "person", 0.9, (0.1, 0.2, 0.3, 0.4))
        }
        assert all(each.pictured and here.detections.thumbnails.has(each.detection) for each in made)
        rows = {row.seq: row for row in here.events()}
        first = next(row for row in here.events() if isinstance(row.event, e.DetectionMade))
        assert first.cause is not None
        assert isinstance(rows[first.cause].event, e.ChildStarted)
        found = here.of()
        assert (found.state, found.kind, found.reason, found.dropped) == ("running", "command", "", {})
        assert found.pictures >= 2
        assert found.detections >= 2
        assert found.latency_s is not None
        (child,) = here.core.kernel.state.children.values()
        assert (child.camera, child.purpose) == (NO_CAMERA, "detector/yolo")
    await wait_until(lambda: not descendants(os.getpid()), 10, what="no child")


async def test_program_gets_what_the_protocol_says() -> None:
    """The line has camera, time and size of the JPEG; then come its length and its bytes."""
    code = 'head, data = picture(); print(json.dumps({**head, "bytes": len(data)}), file=sys.stderr); sys.exit(3)'
    async with open_detectors(program(code, cameras=(YARD,))) as here:
        text = await here.wait_alert()
        assert '"camera": "yard"' in text
        assert '"w": 320, "h": 180, "bytes": 1000' in text
        assert "exited with 3" in text


async def test_environment_of_a_detector_is_its_own() -> None:
    """`env` is added to the few variables of every child."""
    code = "print(sorted(os.environ), os.environ['MODEL'], file=sys.stderr)"
    async with open_detectors(program(code, env={"MODEL": "small"})) as here:
        text = await here.wait_alert()
        assert "'MODEL'" in text
        assert "small" in text


BAD = {
    "dies": ("sys.exit(1)", "exited with 1"),
    "dies of a signal": ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "prints binary": ("sys.stdout.buffer.write(bytes(range(256)) * 40 + b'\\n' * 50); sys.stdout.flush()\n"
                      "while True: sys.stdout.buffer.write(bytes(range(256)) * 64); sys.stdout.flush()", "wrong lines"),
    "floods with wrong lines": ("while True: print('x')", f"{MOST_WRONG} wrong lines"),
    "prints one line without an end": ("while True: sys.stdout.write('x' * 4096)", "longer than 16 KiB"),
    "names unknown cameras": ("head, _ = picture()\nwhile True: say({**head, 'camera': 'nobody'})",
                              "names a camera that it does not watch"),
    "is in another time": ("head, _ = picture()\nwhile True: say({**head, 'at': '2001-01-01T00:00:00Z'})", "too old"),
    "closes its input": ("os.close(0)\ntime.sleep(600)", "closed its standard input"),
    "closes its output": ("os.close(1)\ntime.sleep(600)", "closed its output"),
    "forks and goes": ("os.fork() or time.sleep(600)\nsys.exit(4)", "exited with 4"),
    "forks and leaves its session": ("if not os.fork():\n    os.setsid()\n    os.fork() or time.sleep(600)\n"
                                     "    time.sleep(600)\nsys.exit(5)", "exited with 5"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "reason"), BAD.values(), ids=BAD)
async def test_bad_program_is_ended_with_a_reason_and_leaves_nothing(code: str, reason: str) -> None:
    """Its alert says why it does not work. It is started again after a wait, and another detector goes on."""
    async with open_detectors(program(code), program(SEES, name="good")) as here:
        assert reason in await here.wait_alert()
        assert here.of().state in ("backoff", "starting", "quarantined")
        await wait_until(lambda: len(starts(here.events())) > 1, 30, what="a second start")
        before = len([each for each in here.made() if each.by == "good"])
        await here.wait_made(len(here.made()) + 1)
        assert len([each for each in here.made() if each.by == "good"]) > before
        assert all(each.by == "good" for each in here.made())
    await wait_until(lambda: not descendants(os.getpid()), 10, what="no child")


LEAVES = """
seen, tell = os.pipe()
if not os.fork():
    os.setsid()
    if not os.fork():
        print(os.getpid(), file=sys.stderr, flush=True)
        os.write(tell, b"x")
    time.sleep(60)
    os._exit(0)
os.read(seen, 1)
sys.exit(5)
"""
"""It ends, and a descendant of it in another session goes on."""


async def test_descendant_of_a_program_that_has_ended_is_ended() -> None:
    """The one that left its session belongs to nobody's tree: it is found by the pid that it printed."""
    async with open_detectors(program(LEAVES)) as here:
        assert "exited with 5" in await here.wait_alert()
        ended = next(row.event for row in here.events() if isinstance(row.event, e.ChildEnded))
        pid = int(ended.stderr_tail[0])
        await wait_until(lambda: read_process(pid) is None, 10, what="the end of the descendant")


def starts(rows: list[e.Recorded]) -> list[e.Recorded]:
    return [row for row in rows if isinstance(row.event, e.ChildStarting) and row.event.purpose == "detector/yolo"]


async def test_program_that_dies_of_each_first_picture_never_counts_as_running() -> None:
    """A picture that fits into its pipe proves nothing: the alert stays, and is raised once."""
    async with open_detectors(program("head, _ = picture()\nsay(head)\nsys.exit(7)")) as here:
        await here.wait_alert()
        await wait_until(lambda: published(here) and len(starts(here.events())) > 3, 30, what="further starts")
        found = [row.event for row in here.events() if isinstance(row.event, e.AlertRaised | e.AlertCleared)]
        assert [type(each) for each in found] == [e.AlertRaised]
        assert here.of().state != "running"


async def test_program_starts_until_it_has_run_for_10_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after its pictures were taken; then its alert is cleared."""
    monkeypatch.setattr(crew, "PROVED_S", 1e6)
    async with open_detectors(program(SEES)) as here:
        await here.wait_made(3)
        assert here.of().state == "starting"


def test_sent_pictures_are_kept_up_to_their_number_and_their_bytes() -> None:
    """Key frames of 8 MiB are two; the newest one is kept in any case. One that is sent again counts once."""
    small, large, huge = b"x", b"x" * (8 * 1024 * 1024), b"x" * (MOST_KEPT + 1)
    for unit, count in ((small, KEPT), (large, 2), (huge, 1)):
        sent = SentPictures()
        for number in range(KEPT + 2):
            sent.add(sent_picture(f"{number}", unit), float(number))
            sent.add(sent_picture(f"{number}", unit), float(number))
        found = [number for number in range(KEPT + 2) if sent.find(GATE, f"{number}")[0] is not None]
        assert found == list(range(KEPT + 2))[-count:]
        kept, sent_at = sent.find(GATE, f"{KEPT + 1}")
        assert kept is not None
        assert (kept.jpeg, sent_at) == (b"", float(KEPT + 1))


def sent_picture(at: str, unit: bytes) -> DetectorPicture:
    return DetectorPicture(GATE, Still(H264, (unit,), 0, 0, 1), at, jpeg(), 320, 180)


async def test_missing_program_is_an_alert() -> None:
    """It names the program, and what the system says."""
    async with open_detectors(Detector("yolo", "command", arguments=("/nowhere/detect",))) as here:
        text = await here.wait_alert()
        assert "the detector yolo does not work: /nowhere/detect cannot be started: no such program" in text


async def dies(process: FakeProcess) -> int:
    return 3


async def test_program_that_dies_at_once_rests(autojump_clock: MockClock) -> None:
    """After more than five ends within 30 s it rests for five minutes, then for ten: each start costs a fork."""
    began = list[float]()

    def open_process(arguments: Sequence[str], environment: object, stdin: bytes | None, guarded: bool) -> FakeProcess:
        began.append(trio.current_time())
        process = FakeProcess(len(began), arguments, stdin)
        nursery.start_soon(process.run, dies)
        return process

    async with trio.open_nursery() as nursery:
        async with open_detectors(program(""), within_s=2000, open_process=open_process) as here:
            await trio.sleep(200)
            assert here.of().state == "quarantined"
            assert len(began) == 6
            await trio.sleep(200)
            assert len(began) == 12
            await trio.sleep(400)
            assert len(began) == 12


async def test_missing_program_is_looked_for_with_growing_waits(autojump_clock: MockClock) -> None:
    """Somebody has to install it: after 10 s, then twice as long each time."""
    missing = Detector("yolo", "command", arguments=("/nowhere/detect",))
    async with open_detectors(missing, within_s=1000) as here:
        await trio.sleep(75)
        assert here.of().state == "backoff"
        assert len(starts(here.events())) == 4


async def test_program_that_never_reads_gets_one_picture_and_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture waits in its pipe, and no other is made for it meanwhile; after a time it is ended."""
    monkeypatch.setattr(command, "UNREAD_S", 1.0)
    async with open_detectors(program("time.sleep(600)")) as here:
        here.snapshots.jpeg = jpeg(size=100_000)
        assert "has not read a picture" in await here.wait_alert()
        assert here.of().pictures == 0
        assert here.snapshots.made <= len(starts(here.events()))
    await wait_until(lambda: not descendants(os.getpid()), 10, what="no child")


async def test_flood_of_detections_is_bounded_and_counted() -> None:
    """Beyond the rate of a camera they are dropped as too many; the program is not ended for it."""
    code = "head, _ = picture()\nfor _ in range(60): say(head)\nwhile True: picture()"
    async with open_detectors(program(code, cameras=(GATE,))) as here:
        await here.wait_made(10)
        await wait_until(lambda: here.of().dropped.get("too-many", 0) >= 40, 30, what="dropped detections")
        assert here.alert() == ""
        assert len(here.made()) < 20


async def test_picture_above_the_limit_is_made_smaller_or_skipped() -> None:
    """The decoder is asked for smaller ones; a program never gets more than 1 MiB."""
    async with open_detectors(program(SEES)) as here:
        here.snapshots.jpeg = jpeg(size=1024 * 1024 + 1)
        await here.wait_made(1)
        assert here.of().pictures >= 1


async def test_key_frame_that_cannot_be_decoded_is_counted_and_skipped() -> None:
    """The next one that can be decoded is sent."""
    async with open_detectors(program(SEES)) as here:
        here.snapshots.failing = True
        here.cameras[GATE].publish()
        await wait_until(lambda: here.of().dropped.get("no-picture"), 10, what="a skipped picture")
        here.snapshots.failing = False
        await here.wait_made(1)


async def test_reload_starts_ends_and_replaces_detectors() -> None:
    """Only the one with other settings ends; what is removed leaves no alert and no child."""
    async with open_detectors(program(SEES, name="kept"), program("sys.exit(1)", name="gone")) as here:
        await here.wait_alert("gone")
        await here.wait_made(1)
        (kept,) = [child for child in here.core.kernel.state.children.values() if child.purpose == "detector/kept"]
        here.take(program(SEES, name="kept"), program(SEES, name="new"))
        await wait_until(lambda: any(each.by == "new" for each in await_made(here)), 30, what="the new one")
        assert here.alert("gone") == ""
        assert [each.name for each in here.crew.statistics()] == ["kept", "new"]
        assert kept.child in here.core.kernel.state.children
        here.take(program(SEES, name="kept", fps=5.0), program(SEES, name="new"))
        await wait_until(lambda: kept.child not in here.core.kernel.state.children, 30, what="the end of the old one")
        ended = next(row.event for row in here.events() if isinstance(row.event, e.ChildEnded))
        assert ended.reason.code in ("settings-changed", "ended")
        await wait_until(lambda: len(here.crew.statistics()) == 2, 30, what="the one with other settings")
        assert [each.name for each in here.crew.statistics()] == ["kept", "new"], "in the order of the configuration"


def published(here: Detecting) -> bool:
    for camera in here.cameras.values():
        camera.publish()
    return True


def await_made(here: object) -> list[e.DetectionMade]:
    for camera in here.cameras.values():  # type: ignore[attr-defined]
        camera.publish()
    return here.made()  # type: ignore[attr-defined,no-any-return]
