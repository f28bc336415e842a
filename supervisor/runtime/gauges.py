"""Readings of the machine for monitors: memory, disk, processes. Blocking: call them in threads."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..domain.monitors import Figure, Reading
from ..domain.words import size

ROOT = Path("/")
ROOM = 10 * 2**30
"""Bytes of a disk that count at most: a tenth of four terabytes is room for years."""


def read_memory(root: Path = ROOT) -> Reading:
    """The share of the memory in use, 0 to 1: of the fullest enclosing cgroup with a limit, or else of the machine.

    The page cache that the kernel can reclaim at once does not count. Raises `OSError`.
    """
    machine = _numbers((root / "proc/meminfo").read_text())
    total = machine["MemTotal:"] * 1024
    bounds = [(total - machine["MemAvailable:"] * 1024, total, "the machine's memory")]
    groups = ((used, limit, "the cgroup's limit") for used, limit in _cgroups(root) if limit < total)
    used, limit, whose = max(groups, key=lambda bound: bound[0] / bound[1], default=bounds[0])
    resident = int((root / "proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Reading(
        used / limit,
        f"{used / limit:.0%} of {whose}, {size(limit)}, is in use; banken itself has {size(resident)}",
        (
            Figure("banken_memory_used_bytes", "Memory in use, of the cgroup with a limit or of the machine", used),
            Figure("banken_memory_limit_bytes", "Available memory: the cgroup's limit or the machine's memory", limit),
            Figure("banken_memory_resident_bytes", "Resident memory of the daemon, without its children", resident),
        ),
    )


def _cgroups(root: Path) -> Iterator[tuple[int, int]]:
    """Use and limit, in bytes, of our cgroup and its ancestors that have a limit (cgroups(7), version 2 or 1)."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, limit_file, used_file = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount, limit_file, used_file = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        inner = mount / path.lstrip("/")  # missing in a container that sees its own group as the root
        for group in (inner, *inner.parents):
            if (group / limit_file).exists() and (limit := (group / limit_file).read_text().strip()) != "max":
                cache = _numbers((group / "memory.stat").read_text())
                idle = cache.get("total_inactive_file", cache["inactive_file"])
                yield max(0, int((group / used_file).read_text()) - idle), max(1, int(limit))
            if group == mount:
                break


def _numbers(text: str) -> Mapping[str, int]:
    """Parse the lines `NAME NUMBER …` of a kernel file."""
    return {name: int(value) for name, value, *_ in (line.split() for line in text.splitlines() if line)}


def read_disk(folder: Path) -> Reading:
    """How full the file system of `folder` is for users other than root; 1 is full. Raises `OSError`."""
    found = os.statvfs(folder)
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return Reading(
        max(0.0, 1 - free / max(1, min(total, ROOM))),
        f"{size(free)} of {size(total)} are free where the journal is",
        (
            Figure("banken_disk_free_bytes", "Room on the file system of the journal", free),
            Figure("banken_disk_bytes", "Size of the file system of the journal", total),
        ),
    )


def descendants(root: Path = ROOT, pid: int | None = None) -> Mapping[int, bool]:
    """The pids of all descendants of `pid`, by default of this process. True for zombies: ended and not reaped."""
    children: dict[int, list[int]] = {}
    ended = set()
    for name in os.listdir(root / "proc"):
        if name.isdigit():
            try:
                state, parent = (root / "proc" / name / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            except OSError:
                continue  # it ended during the scan
            children.setdefault(int(parent), []).append(int(name))
            if state == b"Z":
                ended.add(int(name))
    found = list(children.get(pid or os.getpid(), []))
    for child in found:  # the list grows during the loop
        found.extend(children.get(child, []))
    return {child: child in ended for child in found}
