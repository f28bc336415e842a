"""The limits that a decoding child sets before it reads a byte of video. Runs in the child only.

Rules of this file:
- Each limit is set independently. One that the system does not allow is returned as text; the others apply.
- All modules have been imported before: from then on, no file can be opened, and no process or socket can be created.
  In a user namespace, even installed files may belong to another user (user_namespaces(7)).
- A system call that is not listed fails. The list has no call that changes another process, sends a signal, sets the
  owner of a descriptor (fcntl, ioctl), or starts anything. A new call in a library costs a frame, not the limits.

Sources: prctl(2), unshare(2), seccomp(2), setrlimit(2); numbers of system calls: asm/unistd_64.h, asm-generic/unistd.h;
the filter: linux/seccomp.h, linux/filter.h.
"""

import ctypes
import fcntl
import os
import resource
import signal
import struct

MEMORY = 1024 * 1024 * 1024
"""Address space in bytes. Python, av and a frame of 4096 x 4096 pixels take less than half."""
FILES = 32
CPU_S = 3600
"""Seconds in total; the daemon replaces the child long before. `program.py` allows less for each request."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_FILTER = 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _AUDIT, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`. Both machines are little-endian, so the low half comes first."""
_ALLOW, _KILL, _EPERM = 0x7FFF0000, 0x80000000, 0x00050001
_NETWORK = "network namespace"
_OF_ITSELF = "prlimit64"
"""Allowed only for process 0, which is the caller; libc uses it to set and read its own limits."""
_TO_READ_FILES = "open openat stat lstat statx newfstatat access faccessat faccessat2 readlink readlinkat getdents64"
# fmt: off
_X86_64 = (0xC000003E, {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
    "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "readv": 19, "writev": 20,
    "select": 23, "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35, "getpid": 39, "exit": 60,
    "uname": 63, "getcwd": 79, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100,
    "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131, "setrlimit": 160,
    "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "pselect6": 270, "ppoll": 271,
    "set_robust_list": 273, "prlimit64": 302, "getcpu": 309, "getrandom": 318, "membarrier": 324, "rseq": 334,
    "open": 2, "openat": 257, "stat": 4, "lstat": 6, "statx": 332, "newfstatat": 262, "access": 21, "faccessat": 269,
    "faccessat2": 439, "readlink": 89, "readlinkat": 267, "getdents64": 217,
})
_AARCH64 = (0xC00000B7, {
    "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222, "mprotect": 226, "munmap": 215,
    "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "pread64": 67, "readv": 65,
    "writev": 66, "sched_yield": 124, "mremap": 216, "madvise": 233, "dup": 23, "nanosleep": 101, "getpid": 172,
    "exit": 93, "uname": 160, "getcwd": 17, "gettimeofday": 169, "getrlimit": 163, "getrusage": 165, "sysinfo": 179,
    "times": 153, "getuid": 174, "getgid": 176, "geteuid": 175, "getegid": 177, "getppid": 173, "sigaltstack": 132,
    "setrlimit": 164, "gettid": 178, "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128,
    "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "exit_group": 94, "pselect6": 72, "ppoll": 73,
    "set_robust_list": 99, "prlimit64": 261, "getcpu": 168, "getrandom": 278, "membarrier": 283, "rseq": 293,
    "openat": 56, "statx": 291, "newfstatat": 79, "faccessat": 48, "faccessat2": 439, "readlinkat": 78,
    "getdents64": 61,
})
# fmt: on
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> list[str]:
    """Drop privileges and the network, and end with the parent. Returns the steps that failed."""
    missing = []
    if not _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append(f"no_new_privs: {_why()}")
    if not (_call("unshare", _CLONE_NEWNET | _CLONE_NEWIPC) or _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)):
        missing.append(f"{_NETWORK}: {_why()}")
    # A change of credentials clears the signal that setpriv has set (prctl(2)).
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    return missing


def limit(missing: list[str], *, files: bool = False) -> list[str]:
    """Limit memory, CPU time, files and system calls. With `files`, files can still be opened for reading.

    Returns the limits that could not be set, including `missing`. A missing network namespace is left out where sockets
    are refused anyway.
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
        _refuse_calls([] if files else _TO_READ_FILES.split())
        missing = [text for text in missing if not text.startswith(_NETWORK)]
    except OSError as error:
        missing.append(f"seccomp: {error.strerror}")
    return missing


def widen_pipes(size: int) -> None:
    """Set the capacity of standard input and output to `size` bytes, where the system allows it."""
    for stream in (0, 1):
        try:
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            pass  # no pipe, or above the user's share (pipe(7)): more steps for the same bytes


def _lower(kind: int, most: int) -> None:
    soft, hard = (most if now == resource.RLIM_INFINITY else min(now, most) for now in resource.getrlimit(kind))
    resource.setrlimit(kind, (soft, hard))


def _refuse_calls(refused: list[str]) -> None:
    """Install a filter in the kernel: all calls fail with EPERM but those listed, less `refused`. Raises `OSError`."""
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(0, f"the system calls of {machine} are not known here")
    audit, numbers = _MACHINES[machine]
    allowed = [number for name, number in numbers.items() if name not in (*refused, _OF_ITSELF)]
    steps = [(_LOAD, 0, 0, _AUDIT), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_EQUAL, len(allowed) - index + 3, 0, number) for index, number in enumerate(allowed)]
    steps += [(_EQUAL, 0, 2, numbers[_OF_ITSELF]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 1, 0, 0)]
    steps += [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    # struct sock_fprog: a length, and the address of that many instructions
    program = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(code)))
    if not _call("prctl", _PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), _why())


def _call(name: str, *arguments: object) -> bool:
    return bool(getattr(_libc, name)(*arguments) == 0)


def _why() -> str:
    return os.strerror(ctypes.get_errno())
