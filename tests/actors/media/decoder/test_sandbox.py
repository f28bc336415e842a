"""The limits of the decoding child, tested by a process that has set them in the same way."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from actors.media.decoder import sandbox
from tests.conftest import require

ROOT = Path(__file__).parents[4]
TRIES = """
import ctypes, errno, fcntl, json, os, resource, signal, socket, sys
sys.path.insert(0, ROOT)
from actors.media.decoder import sandbox
inherited, (reads, writes) = os.open("/dev/null", os.O_RDONLY), os.pipe()
missing = sandbox.limit(sandbox.enter(), files=FILES)
def attempt(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    except MemoryError:
        return "MemoryError"
    return "done"
libc, parent = ctypes.CDLL(None, use_errno=True), os.getppid()
def call(name, *arguments):
    if libc.syscall(CALLS[name], *arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
room = ctypes.create_string_buffer(256)
info = ctypes.create_string_buffer((-1).to_bytes(4, "little", signed=True) * 3, 128)  # SI_QUEUE
tries = {
    "tkill": lambda: call("tkill", parent, 0),
    "tgkill": lambda: call("tgkill", parent, parent, 0),
    "rt_sigqueueinfo": lambda: call("rt_sigqueueinfo", parent, 0, info),
    "rt_tgsigqueueinfo": lambda: call("rt_tgsigqueueinfo", parent, parent, 0, info),
    "pidfd_send_signal": lambda: call("pidfd_send_signal", inherited, 0, None, 0),
    "process_vm_readv": lambda: call("process_vm_readv", parent, room, 0, room, 0, 0),
    "process_vm_writev": lambda: call("process_vm_writev", parent, room, 0, room, 0, 0),
    "ptrace": lambda: call("ptrace", 0x4206, parent, 0, 0),  # PTRACE_SEIZE
    "prlimit64": lambda: call("prlimit64", parent, 7, None, room),
    "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, parent, os.getpriority(os.PRIO_PROCESS, 0)),
    "ioprio_set": lambda: call("ioprio_set", 1, parent, 0),
    "sched_setaffinity": lambda: os.sched_setaffinity(parent, os.sched_getaffinity(0)),
    "sched_setscheduler": lambda: os.sched_setscheduler(parent, os.SCHED_OTHER, os.sched_param(0)),
    "sched_setattr": lambda: call("sched_setattr", parent, room, 0),
    "process_madvise": lambda: call("process_madvise", inherited, room, 0, 20, 0),
    "kcmp": lambda: call("kcmp", parent, parent, 0, 0, 0),
    "fchmod": lambda: os.fchmod(inherited, 0o666),
    "owner": lambda: fcntl.fcntl(reads, fcntl.F_SETOWN, parent),
    "limit of its own": lambda: resource.setrlimit(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU)),
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "pair": socket.socketpair,
    "open": lambda: os.close(os.open(__file__, os.O_RDONLY)),
    "write": lambda: os.close(os.open("/tmp/never-made-by-banken", os.O_CREAT | os.O_WRONLY)),
    "unlink": lambda: os.unlink("/tmp/never-made-by-banken"),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork,
    "kill": lambda: os.kill(os.getppid(), 0),
    "memory": lambda: bytearray(2 * sandbox.MEMORY),
}
found = {name: attempt(act) for name, act in tries.items() if name in NAMES}
found |= {
    "missing": missing,
    "limits": {name: resource.getrlimit(getattr(resource, name))[1] for name in
        ("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_CPU")},
}
os.write(1, json.dumps(found).encode())
"""

CALLS = {
    "x86_64": {
        "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_send_signal": 424,
        "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "prlimit64": 302, "ioprio_set": 251,
        "sched_setattr": 314, "process_madvise": 440, "kcmp": 312,
    },
    "aarch64": {
        "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_send_signal": 424,
        "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117, "prlimit64": 261, "ioprio_set": 30,
        "sched_setattr": 274, "process_madvise": 440, "kcmp": 272,
    },
}  # fmt: skip
"""Numbers of system calls for which libc or Python has no function."""
OF_OTHERS = (*CALLS["x86_64"], "kill", "setpriority", "sched_setaffinity", "sched_setscheduler", "owner")
"""Calls that affect another process."""
REFUSED = ("socket", "unix", "pair", "exec", "fork", "unlink", "fchmod")
ALL = (*REFUSED, *OF_OTHERS, "limit of its own", "open", "write", "memory")


@cache
def tried(files: bool = False, head: str = "", names: tuple[str, ...] = ALL) -> Any:
    calls = CALLS.get(os.uname().machine, {})
    given = f"ROOT, FILES, NAMES, CALLS = {str(ROOT)!r}, {files}, {names}, {calls}\n__file__ = {__file__!r}"
    code = f"{given}\n{head}\n{TRIES}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("files", [False, True])
def test_no_network_no_process_and_no_change_of_files(files: bool) -> None:
    """The kernel refuses each call with EPERM; no limit is reported as missing on this machine."""
    found = tried(files)
    assert found["missing"] == []
    assert {name: found[name] for name in REFUSED} == dict.fromkeys(REFUSED, "EPERM")


@pytest.mark.parametrize("files", [False, True])
def test_other_processes_cannot_be_reached(files: bool) -> None:
    """No signal, limit, priority, memory or CPU of the parent can be reached; the child can set its own limits."""
    found = tried(files)
    assert {name: found[name] for name in OF_OTHERS} == dict.fromkeys(OF_OTHERS, "EPERM")
    assert found["limit of its own"] == "done"


def test_files_can_be_opened_only_where_that_is_the_task() -> None:
    """Only the inspector can open files, and only for reading: a file cannot grow there."""
    assert (tried(False)["open"], tried(False)["write"]) == ("EPERM", "EPERM")
    assert tried(True)["open"] == "done"
    assert tried(True)["limits"]["RLIMIT_FSIZE"] == 0


def test_memory_and_the_other_limits_hold() -> None:
    """They are hard limits, which a process without privileges cannot raise."""
    found = tried()
    assert found["memory"] == "MemoryError"
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": sandbox.FILES}
    assert found["limits"] == {**limits, "RLIMIT_AS": sandbox.MEMORY, "RLIMIT_CPU": sandbox.CPU_S}


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        ("sandbox._MACHINES = {}", ["seccomp"]),
        ("sandbox._call = lambda name, *more: name != 'unshare' and real(name, *more)", []),
        ("sandbox._MACHINES = {}; sandbox._call = lambda *_: False", ["no_new_privs", "network namespace", "seccomp"]),
        (
            "resource.setrlimit = refuse",
            ["RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_CPU"],
        ),
    ],
)
def test_limit_that_cannot_be_set_is_reported_and_the_others_hold(broken: str, missing: list[str]) -> None:
    """The cases: an unknown machine, a kernel without namespaces (refused sockets are enough there), or both."""
    head = f"""
import resource, sys
sys.path.insert(0, ROOT)
from actors.media.decoder import sandbox
real = sandbox._call
def refuse(*_): raise OSError(1, "no")
{broken}
"""
    found = tried(False, head, ("memory",) if "RLIMIT_AS" not in missing else ())
    assert [text.partition(":")[0] for text in found["missing"]] == missing
    assert "RLIMIT_AS" in missing or found["memory"] == "MemoryError"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers_of_system_calls_are_those_of_the_kernel(machine: str) -> None:
    """The numbers equal those in the kernel's headers, for this machine and the generic ones."""
    header = next((path for path in map(Path, HEADERS[machine]) if path.exists()), None)
    require(None if header else f"there is no kernel header of {machine} (Debian's package linux-libc-dev)")
    assert header is not None
    known = {
        name.removeprefix("__NR_").removeprefix("__NR3264_"): number
        for _, name, number in (line.split() for line in header.read_text().splitlines() if len(line.split()) == 3)
        if name.startswith("__NR") and number.isdecimal()
    }
    numbers = {**CALLS[machine], **sandbox._MACHINES[machine][1]}
    found = {name: known.get(name.replace("newfstatat", GENERIC_FSTATAT[machine])) for name in numbers}
    assert found == {name: str(number) for name, number in numbers.items()}


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
GENERIC_FSTATAT = {"x86_64": "newfstatat", "aarch64": "fstatat"}
"""The generic header uses this name, and defines the other one from it."""
