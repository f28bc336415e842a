"""The command's end of the control socket."""

import http.client
import os
import pwd
import socket
import stat
import struct
from pathlib import Path

OTHERWISE = "--state can name another state folder, and --url can name the daemon by its address"


class ControlConnection(http.client.HTTPConnection):
    """HTTP over the control socket at `path`.

    `connect` raises `OSError`; `PermissionError` also if the process that listens there is another user's, which could
    read what is sent to it. Root may use the socket of every user.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        limit = struct.pack("ll", int(self.timeout or 0), 0)  # without it, a daemon that is busy is an error at once
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.sock.connect(os.fspath(self._path))
        self.sock.settimeout(self.timeout)
        _, user, _ = struct.unpack("3i", self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if os.geteuid() not in (0, user):
            raise PermissionError


def trouble_at(path: Path, error: Exception) -> str:
    """Why no daemon answers at a control socket, and what to do."""
    match error:
        case FileNotFoundError():
            return f"no daemon runs on this state folder, or its log says why it has no control socket; {OTHERWISE}"
        case ConnectionRefusedError() if not _is_socket(path):
            return f"this is no control socket; {OTHERWISE}"
        case ConnectionRefusedError():
            return f"no daemon runs on this state folder, the last one was killed; {OTHERWISE}"
        case PermissionError():
            return f"belongs to {_owner_of(path)}; run the command as that user or as root"
        case OSError(strerror=str() as text):
            return f"no daemon answers there: {text}; {OTHERWISE}"
        case _:
            return f"no daemon answers there: {str(error) or type(error).__name__}; {OTHERWISE}"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


def _owner_of(path: Path) -> str:
    """The owner of the socket, or of the folder that keeps us from seeing it."""
    for each in (path, *path.absolute().parents):
        try:
            user = each.stat().st_uid
        except OSError:
            continue
        try:
            return pwd.getpwuid(user).pw_name
        except KeyError:
            return f"user {user}"
    return "another user"
