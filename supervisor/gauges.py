"""What monitors read of the machine: memory, disk, processes. Blocking: to be called in threads."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from .domain.monitors import Figure, Reading

ROOT = Path("/")
ROOM = 10 * 2**30
"""Of a large disk this much counts: a tenth of four terabytes is room for years."""


def read_memory(root: Path = ROOT) -> Reading:
    """The share of the memory in use: of the tightest cgroup around us that has a limit, or else of the machine.

    The page cache that can be given back at once does not count. Raises `OSError`.
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
            Figure("banken_memory_limit_bytes", "What there is: the cgroup's limit or the machine's memory", limit),
            Figure("banken_memory_resident_bytes", "The daemon's own, without its children", resident),
        ),
    )


def _cgroups(root: Path) -> Iterator[tuple[int, int]]:
    """Use and limit of our cgroup and of those around it that have one (cgroups(7), version 2 or 1)."""
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
        inner = mount / path.lstrip("/")  # not there in a container that sees its own group as the root
        for group in (inner, *inner.parents):
            if (group / limit_file).exists() and (limit := (group / limit_file).read_text().strip()) != "max":
                cache = _numbers((group / "memory.stat").read_text())
                idle = cache.get("total_inactive_file", cache["inactive_file"])
                yield max(0, int((group / used_file).read_text()) - idle), max(1, int(limit))
            if group == mount:
                break


def _numbers(text: str) -> Mapping[str, int]:
    """The lines `NAME NUMBER …` of a file of the kernel."""
    return {name: int(value) for name, value, *_ in (line.split() for line in text.splitlines() if line)}


def read_disk(folder: Path) -> Reading:
    """How little room is left on the file system of `folder`, for who is not root; 1 is none. Raises `OSError`."""
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
    """Our children, theirs and so on; true for those that have ended and were not reaped."""
    children: dict[int, list[int]] = {}
    ended = set()
    for name in os.listdir(root / "proc"):
        if name.isdigit():
            try:
                state, parent = (root / "proc" / name / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            except OSError:
                continue  # it has gone while we looked
            children.setdefault(int(parent), []).append(int(name))
            if state == b"Z":
                ended.add(int(name))
    found = list(children.get(pid or os.getpid(), []))
    for child in found:  # grows meanwhile
        found.extend(children.get(child, []))
    return {child: child in ended for child in found}


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
