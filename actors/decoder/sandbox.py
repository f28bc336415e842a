"""What a child that decodes gives up before it reads a byte of a picture. Runs in the child only.

Rules of this file:
- Each limit is tried by itself; one that the system does not allow is returned as text, for people, the others hold.
- All modules have been imported before: from then on no file can be opened, no process or socket made. In a namespace
  of users even what has been installed may be another user's (user_namespaces(7)).

Sources: prctl(2), unshare(2), seccomp(2), setrlimit(2); numbers of system calls: asm/unistd_64.h, asm-generic/unistd.h.
"""

import ctypes
import fcntl
import os
import resource
import signal
import struct

MEMORY = 1024 * 1024 * 1024
"""Address space in bytes. Python, av and a picture of 4096 x 4096 pixels take less than half."""
FILES = 32
CPU_S = 3600
"""In all; the daemon has replaced the child long before. `program.py` allows less for each picture."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _EPERM = 0x7FFF0000, 0x80000000, 0x00050001
_X32 = 0x40000000
_NETWORK = "network namespace"
_OPEN = "open openat openat2 creat"
# fmt: off
_X86_64 = (0xC000003E, {
    "open": 2, "openat": 257, "openat2": 437, "creat": 85, "socket": 41, "connect": 42, "bind": 49, "listen": 50,
    "socketpair": 53, "clone": 56, "fork": 57, "vfork": 58, "clone3": 435, "execve": 59, "execveat": 322, "kill": 62,
    "ptrace": 101, "truncate": 76, "rename": 82, "renameat": 264, "renameat2": 316, "mkdir": 83, "mkdirat": 258,
    "rmdir": 84, "link": 86, "linkat": 265, "unlink": 87, "unlinkat": 263, "symlink": 88, "symlinkat": 266, "chmod": 90,
    "fchmodat": 268, "chown": 92, "lchown": 94, "fchownat": 260, "mknod": 133, "mknodat": 259, "mount": 165,
    "umount2": 166, "unshare": 272, "setns": 308, "add_key": 248, "request_key": 249, "keyctl": 250,
    "perf_event_open": 298, "open_by_handle_at": 304, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321,
    "userfaultfd": 323, "io_uring_setup": 425, "pidfd_open": 434, "pidfd_getfd": 438, "shmget": 29, "msgget": 68,
    "semget": 64,
})
_AARCH64 = (0xC00000B7, {
    "openat": 56, "openat2": 437, "socket": 198, "connect": 203, "bind": 200, "listen": 201, "socketpair": 199,
    "clone": 220, "clone3": 435, "execve": 221, "execveat": 281, "kill": 129, "ptrace": 117, "truncate": 45,
    "renameat": 38, "renameat2": 276, "mkdirat": 34, "linkat": 37, "unlinkat": 35, "symlinkat": 36, "fchmodat": 53,
    "fchownat": 54, "mknodat": 33, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268, "add_key": 217,
    "request_key": 218, "keyctl": 219, "perf_event_open": 241, "open_by_handle_at": 265, "process_vm_readv": 270,
    "process_vm_writev": 271, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425, "pidfd_open": 434,
    "pidfd_getfd": 438, "shmget": 194, "msgget": 186, "semget": 190,
})
# fmt: on
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> list[str]:
    """No new privileges, no network, and an end with the parent's. Returns what could not be set."""
    missing = []
    if not _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append(f"no_new_privs: {_why()}")
    if not (_call("unshare", _CLONE_NEWNET | _CLONE_NEWIPC) or _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)):
        missing.append(f"{_NETWORK}: {_why()}")
    # A change of credentials takes back the signal that setpriv has asked for (prctl(2)).
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    return missing


def limit(missing: list[str], *, files: bool = False) -> list[str]:
    """Memory, CPU time, files, system calls. With `files`, files can be opened still, to be read.

    Returns what could not be set, `missing` included; a namespace is not missed where sockets are refused anyway.
    """
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": FILES,
        "RLIMIT_NPROC": 0,
        "RLIMIT_AS": MEMORY,
        "RLIMIT_CPU": CPU_S,
    }
    missing = list(missing)
    for name, most in wanted.items():
        try:
            _lower(getattr(resource, name), most)
        except (OSError, ValueError) as error:
            missing.append(f"{name}: {error}")
    try:
        _refuse_calls(_OPEN.split() if files else [])
        missing = [text for text in missing if not text.startswith(_NETWORK)]
    except OSError as error:
        missing.append(f"seccomp: {error.strerror}")
    return missing


def widen_pipes(size: int) -> None:
    """Standard input and output take `size` bytes, where the system allows it; else they stay as they are."""
    for stream in (0, 1):
        try:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            pass  # no pipe, or above the user's share (pipe(7)): more turns for the same bytes


def _lower(kind: int, most: int) -> None:
    soft, hard = (most if now == resource.RLIM_INFINITY else min(now, most) for now in resource.getrlimit(kind))
    resource.setrlimit(kind, (soft, hard))


def _refuse_calls(allowed: list[str]) -> None:
    """A filter in the kernel: those calls fail with EPERM from now on. Raises `OSError`."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(0, f"the system calls of {machine} are not known here")
    audit, numbers = _MACHINES[machine]
    refused = [number for name, number in numbers.items() if name not in allowed]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    steps.append((_AT_LEAST, len(refused) + 1, 0, _X32))
    steps += [(_EQUAL, len(refused) - index, 0, number) for index, number in enumerate(refused)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    # struct sock_fprog: a length, and the address of that many instructions
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
    if not _call("prctl", _PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), _why())


def _call(name: str, *arguments: object) -> bool:
    return bool(getattr(_libc, name)(*arguments) == 0)


def _why() -> str:
    return os.strerror(ctypes.get_errno())
