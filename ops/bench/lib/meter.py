"""The cost of processes, read from /proc (proc(5)); each process includes its descendants."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its living descendants; time of those that have ended is not included."""
    return sum(map(_cpu_s, _tree(pid)))


def pss_mb(pid: int) -> float:
    """Return the memory of a process and its descendants in MB (PSS: shared pages are divided among their users)."""
    return sum(map(_pss_mb, _tree(pid)))


def percentile(values: Iterable[float], share: float) -> float:
    """Return the nearest-rank percentile, for `share` from 0 to 1; 0.0 without values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def machine() -> str:
    """Describe this machine in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line),
        platform.machine(),
    )
    kernel = platform.release().split("-")[0]
    return f"{os.cpu_count()} cores ({model}), Linux {kernel}, Python {platform.python_version()}"


def _tree(pid: int) -> Iterable[int]:
    yield pid
    for task in _list(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            yield from _tree(int(child))


def _cpu_s(pid: int) -> float:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S if fields else 0.0


def _pss_mb(pid: int) -> float:
    lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _list(path: str) -> Sequence[str]:
    try:
        return os.listdir(path)
    except OSError:
        return ()
