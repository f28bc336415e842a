"""What the decoding child can no longer do, tried by a process that has given it up in the same way."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from actors.decoder import sandbox

ROOT = Path(__file__).parents[3]
TRIES = """
import errno, json, os, resource, signal, socket, sys
sys.path.insert(0, ROOT)
from actors.decoder import sandbox
inherited = os.open("/dev/null", os.O_RDONLY)
missing = sandbox.limit(sandbox.enter(), files=FILES)
def attempt(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    except MemoryError:
        return "MemoryError"
    return "done"
tries = {
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

REFUSED = ("socket", "unix", "pair", "exec", "fork", "kill", "unlink")
ALL = (*REFUSED, "open", "write", "memory")


@cache
def tried(files: bool = False, head: str = "", names: tuple[str, ...] = ALL) -> Any:
    code = f"ROOT, FILES, NAMES = {str(ROOT)!r}, {files}, {names}\n__file__ = {__file__!r}\n{head}\n{TRIES}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("files", [False, True])
def test_no_network_no_process_and_no_change_of_files(files: bool) -> None:
    """The kernel refuses each with EPERM; nothing is reported as missing on this machine."""
    found = tried(files)
    assert found["missing"] == []
    assert {name: found[name] for name in REFUSED} == dict.fromkeys(REFUSED, "EPERM")


def test_files_can_be_opened_only_where_that_is_the_task() -> None:
    """By what looks into a file, and to read only: there, a file cannot grow."""
    assert (tried(False)["open"], tried(False)["write"]) == ("EPERM", "EPERM")
    assert tried(True)["open"] == "done"
    assert tried(True)["limits"]["RLIMIT_FSIZE"] == 0


def test_memory_and_the_other_limits_hold() -> None:
    """As hard limits, which a process without privileges cannot raise."""
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
    """An unknown machine, a kernel that gives no namespace (where sockets are refused, that is enough), or neither."""
    head = f"""
import resource, sys
sys.path.insert(0, ROOT)
from actors.decoder import sandbox
real = sandbox._call
def refuse(*_): raise OSError(1, "no")
{broken}
"""
    found = tried(False, head, ("memory",) if "RLIMIT_AS" not in missing else ())
    assert [text.partition(":")[0] for text in found["missing"]] == missing
    assert "RLIMIT_AS" in missing or found["memory"] == "MemoryError"


def test_numbers_of_system_calls_are_those_of_this_machine() -> None:
    """Compared with the kernel's own header, where it is installed."""
    header = next((p for p in map(Path, HEADERS.get(os.uname().machine, ())) if p.exists()), None)
    if header is None:
        pytest.skip("no kernel headers here")
    known = {
        line.split()[1].removeprefix("__NR_"): line.split()[2]
        for line in header.read_text().splitlines()
        if line.startswith("#define __NR_") and len(line.split()) == 3
    }
    numbers = sandbox._MACHINES[os.uname().machine][1]
    assert {name: known.get(name) for name in numbers} == {name: str(number) for name, number in numbers.items()}


HEADERS = {"x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")}
