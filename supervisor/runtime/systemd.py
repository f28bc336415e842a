"""Notifies systemd (sd_notify(3)) that the daemon is ready, that it stops, and that its loop still runs."""

import os
import socket
from contextlib import suppress

import trio

BEATS = 3
"""Notifications within the time after which the watchdog would restart the daemon."""


def notify(message: str) -> None:
    """Send `message` to systemd, if it runs us. Never waits. A message that cannot be delivered is lost."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        speaker.sendto(message.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


async def run_watchdog() -> None:
    """Notify systemd that the loop runs, `BEATS` times in each `WatchdogSec=` of the unit. Without it, return at once.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    every_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6 / BEATS
    while every_s:
        notify("WATCHDOG=1")
        await trio.sleep(every_s)
