"""The writer of an archive: each file plays whatever happened, and nothing synced is lost."""

import errno
import hashlib
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from actors.recorder.archive_writer import ArchiveError, ArchiveWriter, SealedFile, list_files, repair_file
from actors.recorder.cutter import Cutter, NewFile
from actors.recorder.disk import FOLDER_FLAGS, Disk
from actors.recorder.recording_file import Walk, walk
from tests.kit.archive import FailingDisk, PowerDisk, fails_at

from .test_cutter import RECORDING, START_NS, TICK, frames_of, units, wall_ns


def archive(folder: Path, disk: Disk | None = None, node: str = "n1") -> ArchiveWriter:
    writer = ArchiveWriter(folder, node, iter("abc").__next__, disk or Disk())
    writer.open()
    return writer


def record(
    writer: ArchiveWriter, count: int, camera: str = "gate", *, sync_every: int = 3, file_s: float = 4
) -> list[SealedFile]:
    """Record so many access units, and return the files that were sealed meanwhile."""
    cutter, sealed, fragments = Cutter(camera, RECORDING, file_s), list[SealedFile](), itertools.count(1)
    for unit in units(count):
        for out in cutter.take(unit, wall_ns(unit)):
            if isinstance(out, NewFile):
                sealed += filter(None, [writer.begin(camera, RECORDING, out)])
            else:
                writer.append(camera, out)
                if next(fragments) % sync_every == 0:
                    writer.sync()
    for out in cutter.end():
        writer.append(camera, out)
    return sealed


def walked(path: Path) -> Walk:
    with open(path, "rb") as file:
        return walk(file)


def test_files_are_named_by_their_time_and_sealed(tmp_path: Path) -> None:
    """The row of each file says what is in it; players read it."""
    writer = archive(tmp_path / "recordings")
    sealed = [*record(writer, 100), *filter(None, [writer.seal("gate")])]
    writer.close()
    assert [file.path for file in sealed] == [
        f"gate/20270115/recording_20270115_0800{second:02}.mp4" for second in (0, 4, 8)
    ]
    for file, count in zip(sealed, (40, 40, 20), strict=True):
        data = (tmp_path / "recordings" / file.path).read_bytes()
        found = walked(tmp_path / "recordings" / file.path)
        assert found.is_sealed
        assert found.fragments == file.fragments
        assert (file.size, file.digest) == (len(data), hashlib.sha256(data).digest())
        assert (file.duration, len(frames_of(data))) == (count * TICK, count)
        assert file.began_ns == START_NS + int(file.path[-6:-4]) * 10**9
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "recordings").rglob("*.mp4")} == {0o600}


def test_second_file_of_a_second_has_another_name(tmp_path: Path) -> None:
    """A clock that went back costs no file."""
    writer = archive(tmp_path / "recordings")
    for _ in range(3):
        record(writer, 10)
        writer.seal("gate")
    assert [*list_files(tmp_path / "recordings")] == [
        f"gate/20270115/recording_20270115_080000{number}.mp4" for number in ("", "_2", "_3")
    ]


def test_file_without_a_fragment_has_no_name(tmp_path: Path) -> None:
    """It could not be played."""
    writer = archive(tmp_path / "recordings")
    (new,) = (out for out in Cutter("gate", RECORDING).take(units(1)[0], START_NS) if isinstance(out, NewFile))
    writer.begin("gate", RECORDING, new)
    assert writer.seal("gate") is None
    assert not [*(tmp_path / "recordings").rglob("*.mp4")]


def test_archive_has_one_writer(tmp_path: Path) -> None:
    """Nor does it take the archive of another installation."""
    first = archive(tmp_path / "recordings")
    with pytest.raises(ArchiveError, match="another banken writes"):
        archive(tmp_path / "recordings")
    first.close()
    with pytest.raises(ArchiveError, match="belongs to another banken"):
        archive(tmp_path / "recordings", node="n2")
    archive(tmp_path / "recordings").close()


def test_folder_that_was_replaced_is_not_written(tmp_path: Path) -> None:
    """An unmounted disk leaves an empty folder, which is on the disk of the system."""
    folder = tmp_path / "recordings"
    writer = archive(folder)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    with pytest.raises(ArchiveError, match="not the archive that it was"):
        record(writer, 30)
    writer.give_up()
    writer.close()
    with pytest.raises(ArchiveError, match="not the archive that it was"):
        writer.open()
    assert not [*folder.rglob("*.mp4")]
    folder.joinpath("lock").unlink()
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    writer.open()
    record(writer, 30)
    assert writer.seal("gate")


@pytest.mark.parametrize("content", ["", "{}", "[]", "{", "\\xff"])
def test_damaged_mark_is_an_error(content: str, tmp_path: Path) -> None:
    """Nobody knows whose archive it is."""
    (tmp_path / "archive.json").write_text(content)
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive(tmp_path)


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("number", range(2, 9))
def test_fault_costs_what_was_not_synced(call: str, number: int, tmp_path: Path) -> None:
    """After it, the files play, end at the last synced fragment, and are never written again."""
    disk = FailingDisk()
    writer = archive(tmp_path / "recordings", disk)
    disk.fault = fails_at(number, call)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        record(writer, 200, sync_every=2)
    sizes = {path: (tmp_path / "recordings" / path).stat().st_size for path in list_files(tmp_path / "recordings")}
    writer.give_up()
    repaired = [*writer.repair()]
    assert len(repaired) <= 1
    for path in list_files(tmp_path / "recordings"):
        found = walked(tmp_path / "recordings" / path)
        assert found.is_sealed
        assert found.size <= sizes[path] + 1000
    for file in repaired:
        assert len(file.fragments) % 2 == 0, "every second fragment was synced"
        assert file.digest == hashlib.sha256((tmp_path / "recordings" / file.path).read_bytes()).digest()
    record(writer, 20, "yard")
    assert writer.seal("yard")


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory) -> PowerDisk:
    disk = PowerDisk()
    writer = archive(tmp_path_factory.mktemp("power") / "recordings", disk)
    for camera in ("gate", "yard"):
        record(writer, 130, camera)
        writer.seal(camera)
    writer.close()
    return disk


@pytest.mark.parametrize("seed", range(10))
def test_power_failure_costs_what_was_not_synced(seed: int, power: PowerDisk, tmp_path: Path) -> None:
    """After the repair, every file plays, and has every synced fragment."""
    random = Random(seed)
    for number in range(100):
        folder = tmp_path / str(number)
        folder.mkdir()
        synced = power.image(random.randint(1, len(power.steps)), folder, random)
        check_repaired(folder, synced)


def check_repaired(folder: Path, synced: dict[str, int]) -> None:
    """Repair all files of an archive, and check them."""
    descriptor = os.open(folder, FOLDER_FLAGS)
    try:
        before = {path: (folder / path).read_bytes() for path in list_files(folder)}
        rows = {path: repair_file(Disk(), descriptor, path) for path in before}
    finally:
        os.close(descriptor)
    for path, row in rows.items():
        if row is None:
            assert not (folder / path).exists()
            assert synced.get(path, 0) < 2000, "it had a synced fragment"
            continue
        found = walked(folder / path)
        assert found.is_sealed
        kept = found.fragments[-1].offset + found.fragments[-1].size
        data = (folder / path).read_bytes()
        assert data[:kept] == before[path][:kept]
        assert kept >= synced.get(path, 0) - 200, "a synced fragment was lost"
        assert row.digest == hashlib.sha256(data).digest()
    for path in list(rows)[:2]:
        if rows[path] is not None:
            assert frames_of((folder / path).read_bytes())


PROGRAM = """
import sys
from pathlib import Path
from tests.actors.recorder.test_archive_writer import archive, record
writer = archive(Path(sys.argv[1]))
print("open", flush=True)
while True:
    record(writer, 200, sync_every=1000)
    writer.seal("gate")
"""


def test_kill_costs_the_fragment_that_was_written(tmp_path: Path) -> None:
    """All that the kernel has taken survives `kill -9`."""
    random = Random(1)
    for number in range(5):
        folder = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while len([*folder.rglob("*.mp4")]) < 1 + 3 * random.random():
                os.sched_yield()
            child.send_signal(signal.SIGKILL)
        check_repaired(folder, {})
        rows = [*list_files(folder)]
        assert rows
        assert all(not path.endswith(".damaged") for path in rows)


def test_other_files_stay(tmp_path: Path) -> None:
    """Files that are not ours are neither read nor removed."""
    folder = tmp_path / "recordings"
    record(writer := archive(folder), 30)
    writer.seal("gate")
    for name in (
        "notes.txt",
        "gate/holiday.mp4",
        "gate/20270115/recording_20270115_080000.mp4.damaged",
        "lost+found/a",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    assert [*list_files(folder)] == ["gate/20270115/recording_20270115_080000.mp4"]


MOUNTS = """
import subprocess, sys
from pathlib import Path
from actors.recorder.archive_writer import ArchiveError
from tests.actors.recorder.test_archive_writer import archive, record

def mount(disk):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], check=True)

disk = Path(sys.argv[1])
mount(disk)
writer = archive(disk / "recordings")
record(writer, 30)
subprocess.run(["umount", "--lazy", disk], check=True)
try:
    record(writer, 30)
except ArchiveError as error:
    print(error.strerror)
writer.give_up()
writer.close()
print([*disk.iterdir()])
for made in (False, True):
    try:
        mount(disk)
        if made:
            (disk / "recordings").mkdir()
        writer.open()
    except OSError as error:
        print(error.strerror)
    print([path.name for path in disk.rglob("*")])
"""


def test_nothing_is_written_below_the_mount_point_of_an_archive(tmp_path: Path) -> None:
    """Nor onto another disk that is mounted there: its folder has another mark, or none."""
    (disk := tmp_path / "disk").mkdir()
    space = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    ended = subprocess.run(
        [*space, sys.executable, "-c", MOUNTS, disk], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    gone = f"{disk / 'recordings'} is not the archive that it was; was a disk unmounted or replaced?"
    assert ended.stdout.splitlines() == [
        gone, "[]", "No such file or directory", "[]", gone, "['recordings', 'lock']",
    ]  # fmt: skip
    assert not [*disk.iterdir()]
