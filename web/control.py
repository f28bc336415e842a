"""Requests over the control socket, by which the owner of this machine reaches the daemon.

Rules of this file:
- Only processes of our user and of root are served, also if the file of the socket has another mode.
- A request over it is marked in its ASGI scope (`CONTROL`). Its client is `local`, which is no address, so nobody else
  can have that name.
- No web page can send such a request, so its `Host` and its origin are not checked. Limits for each client hold.
"""

import os
import socket
import struct
from typing import Any

import trio

CONTROL = "banken.control"
"""The key of the connection state, and so of the ASGI scope, that is true for requests over the control socket."""
CONTROL_EVERY_S = 30.0
"""Seconds between two looks for the file of the socket, which is made again if it was removed or replaced.

A thread looks. It ends after 10 s without work, so this must be longer."""


def is_control(scope: Any) -> bool:
    """Whether an ASGI scope belongs to a request over the control socket."""
    return bool(scope.get(CONTROL))


def user_of(connected: trio.socket.SocketType) -> int:
    """The user of the process that opened a Unix connection, according to the kernel. Raises `OSError`."""
    _, user, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)


def is_owner(user: int) -> bool:
    """Whether a user may use the control socket: our user and root."""
    return user in (0, os.geteuid())
