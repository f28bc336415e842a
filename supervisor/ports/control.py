"""The control socket, as the web layer uses it."""

import socket
from typing import Protocol

__all__ = ["ControlPort"]


class ControlPort(Protocol):
    def listener(self) -> socket.socket | None:
        """Return the listening socket at its path, a new one if that has gone; None while none can be made. Blocking.

        The caller closes a socket that is no longer returned.
        """
        ...
