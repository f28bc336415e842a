"""An archive on a disk that is unmounted and replaced, with real mounts."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
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
        [*space, sys.executable, "-c", PROGRAM, disk], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    gone = f"{disk / 'recordings'} is not the archive that it was; was a disk unmounted or replaced?"
    assert ended.stdout.splitlines() == [
        gone, "[]", "No such file or directory", "[]", gone, "['recordings', 'lock']",
    ]  # fmt: skip
    assert not [*disk.iterdir()]
