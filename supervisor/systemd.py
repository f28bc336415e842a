"""What systemd is told (sd_notify(3)): that the daemon is ready, that it stops, and that its loop still turns."""

import os
import socket
from contextlib import suppress

import trio

BEATS = 3
"""Within the time after which the watchdog would restart us."""


def notify(message: str) -> None:
    """Tell it, where there is somebody to tell. Never waits, and a message that cannot be delivered is lost."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        speaker.sendto(message.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


async def run_watchdog() -> None:
    """Say that the loop turns, as often as the unit's `WatchdogSec=` wants; return at once where it wants nothing.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    every_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / BEATS
    while every_s:
        notify("WATCHDOG=1")
        await trio.sleep(every_s)
