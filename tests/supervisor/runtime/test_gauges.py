"""The gauges of a machine, read from made-up files in the kernel's formats."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor.domain.monitors import Reading
from supervisor.runtime.gauges import ROOM, descendants, read_disk, read_memory
from tests.kit.processes import wait_until

GIB = 2**30
MEMINFO = "MemTotal:       8388608 kB\nMemFree:   1 kB\nMemAvailable:   6291456 kB\nHugePages_Total:       0\n"
UNLIMITED_V1 = "9223372036854771712"


def machine(folder: Path, cgroup: str, files: Mapping[str, str] | None = None) -> Path:
    """8 GiB, of which 6 can be had; `cgroup` is /proc/self/cgroup, `files` lie below /sys/fs/cgroup."""
    every = {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup, "proc/self/statm": "900 256 99 1 0 300 0\n"}
    for name, text in {**every, **{f"sys/fs/cgroup/{name}": text for name, text in (files or {}).items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def group(used: int, limit: int | str, idle: int = 0, *, version: int = 2) -> dict[str, str]:
    if version == 1:
        stat = f"inactive_file 1\ntotal_inactive_file {idle}\n"
        return {"memory.limit_in_bytes": f"{limit}\n", "memory.usage_in_bytes": f"{used}\n", "memory.stat": stat}
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": f"anon 1\ninactive_file {idle}\n"}


def at(path: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{path}/{name}".lstrip("/"): text for name, text in files.items()}


def figures(reading: Reading) -> dict[str, float]:
    return {figure.metric: figure.value for figure in reading.figures}


def test_without_a_limit_it_is_the_machines_memory(tmp_path: Path) -> None:
    """2 GiB of 8 GiB are a level of 0.25, with the resident size of banken itself."""
    reading = read_memory(machine(tmp_path, "0::/user.slice\n", at("user.slice", group(5 * GIB, "max"))))
    assert reading.level == 0.25
    assert reading.text == "25% of the machine's memory, 8 GiB, is in use; banken itself has 1 MiB"
    page = os.sysconf("SC_PAGE_SIZE")
    assert figures(reading) == {
        "banken_memory_used_bytes": 2 * GIB,
        "banken_memory_limit_bytes": 8 * GIB,
        "banken_memory_resident_bytes": 256 * page,
    }


@pytest.mark.parametrize(
    ("cgroup", "files", "level"),
    [
        ("0::/a/b\n", at("a/b", group(900, 1000, 100)), 0.8),
        ("0::/a/b\n", {**at("a/b", group(100, 1000)), **at("a", group(1900, 2000))}, 0.95),
        ("0::/\n", group(850, 1000), 0.85),
        ("0::/of/the/host\n", group(850, 1000), 0.85),
        ("5:cpu:/\n4:memory:/a\n0::/\n", at("memory/a", group(900, 1000, 200, version=1)), 0.7),
        ("4:cpu,memory:/a\n", {**at("memory/a", group(500, UNLIMITED_V1, version=1)),
                               **at("memory", group(60, 100, version=1))}, 0.6),
        ("4:memory:/a\n0::/\n", at("memory/a", group(500, UNLIMITED_V1, version=1)), 0.25),
        ("0::/a\n", at("a", group(10, 100, 20)), 0.0),
        ("0::/a\n", at("a", group(0, 0)), 0.0),
    ],
    ids=[
        "version 2", "version 2: the one around it is tighter", "version 2: a container's root",
        "version 2: a path of the host's", "version 1", "version 1: the one around it", "version 1: no limit",
        "more that can be given back than is used", "a limit of nothing",
    ],
)  # fmt: skip
def test_the_tightest_cgroup_counts(tmp_path: Path, cgroup: str, files: dict[str, str], level: float) -> None:
    """Version 1 and 2, nested and in a container; memory that can be reclaimed is not in use."""
    assert read_memory(machine(tmp_path, cgroup, files)).level == level


def test_the_memory_and_the_disk_of_this_machine_can_be_read(tmp_path: Path) -> None:
    """The real files of the kernel give a level from 0 to 1."""
    for reading in (read_memory(), read_disk(tmp_path)):
        assert reading.level is not None
        assert 0 <= reading.level <= 1
        assert all(value > 0 for value in figures(reading).values())


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [(5 * GIB, 8000 * GIB, 0.5), (800 * GIB, 8000 * GIB, 0.0), (GIB, 4 * GIB, 0.75), (0, 4 * GIB, 1.0), (0, 0, 1.0)],
    ids=["little of a large one", "a tenth of a large one", "a small one", "full", "no disk at all"],
)
def test_of_a_large_disk_ten_gigabytes_count(
    free: int, total: int, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 GiB free of 8000 GiB is 0.5: the level is of the room needed, not of the disk."""
    block = 4096
    found = os.statvfs_result((512, block, total // block, total // block, free // block, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: found)
    assert ROOM == 10 * GIB
    assert read_disk(Path("/")).level == level


async def test_zombie_differs_from_a_running_process() -> None:
    """A real zombie is True and a real sleeper False."""
    sleeping = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeping) as runs, subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:  # noqa: ASYNC220
        await wait_until(lambda: descendants().get(ended.pid), 10)
        assert descendants()[runs.pid] is False
        runs.kill()
    assert not {runs.pid, ended.pid} & descendants().keys()


def test_descendants_are_counted_and_foreign_processes_are_not(tmp_path: Path) -> None:
    """Grandchildren count, a stranger's zombie does not; a name with brackets and an empty entry are read."""
    for pid, parent, state in ((10, 1, "S"), (11, 10, "S"), (12, 11, "Z"), (20, 1, "Z")):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "stat").write_text(f"{pid} (a ) b) {state} {parent} 1 1\n")
    (tmp_path / "proc" / "13").mkdir()
    assert descendants(tmp_path, 10) == {11: False, 12: True}
