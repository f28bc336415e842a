"""The speed of this machine, which each page and each JSON result of a bench states.

Two machines of the same description may differ by a factor of two. Figures of two pages can be compared after division
by their calibrations: the two costs that every sent packet has.
"""

import os
import socket
import struct
import time
from collections.abc import Callable
from functools import cache

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .meter import machine

PAYLOAD = 1200
"""Bytes of a packet, as in the benches' stream."""
ROUNDS, CALLS = 15, 400
"""The fastest round counts: what else runs on the machine can only slow a round down."""
RUN = 9
"""Packets of one send: an access unit of the benches' stream."""
HEADER, TAG = 12, 16
UDP_SEGMENT = 103
"""linux/udp.h: the kernel splits one long datagram into several of this size."""


@attrs.frozen
class Calibration:
    """CPU time in microseconds."""

    aes_gcm_us: float
    """AES-256-GCM of one packet, by OpenSSL: the call from Python is included."""
    segmented_send_us: float | None
    """One `sendmsg` of `RUN` packets with UDP_SEGMENT to a socket of this machine; None where the kernel refuses it."""

    def __str__(self) -> str:
        send = "refused" if self.segmented_send_us is None else f"{self.segmented_send_us:.2f} µs"
        gcm = f"AES-256-GCM of a packet of {PAYLOAD} B {self.aes_gcm_us:.2f} µs"
        return f"{gcm}, UDP_SEGMENT send of {RUN} such packets {send}"


@cache
def calibrate() -> Calibration:
    """Measure once in a process; takes about 0.1 s."""
    return Calibration(round(_aes_gcm_us(), 3), _segmented_send_us())


def stated() -> str:
    """Return the two lines under the title of a page: the machine with its load and the date, and its calibration."""
    at = f"load {os.getloadavg()[0]:.1f}; {time.strftime('%Y-%m-%d')}"
    return f"Machine: {machine()}, {at}.\nCalibration (CPU time): {calibrate()}."


def values() -> dict[str, object]:
    """Return the same as values for JSON."""
    return {"machine": machine(), "load": os.getloadavg()[0], "calibration": attrs.asdict(calibrate())}


def _aes_gcm_us() -> float:
    cipher, packet, header = AESGCM(bytes(32)), bytes(PAYLOAD), bytes(HEADER)
    count = 0

    def call() -> None:
        nonlocal count
        count += 1
        cipher.encrypt(count.to_bytes(12), packet, header)

    return _fastest_us(call, lambda: None)


def _segmented_send_us() -> float | None:
    size = HEADER + PAYLOAD + TAG
    run, ancillary = (bytes(RUN * size),), [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        sender.connect(receiver.getsockname())

        def drain() -> None:
            try:
                while True:
                    receiver.recv(size)
            except BlockingIOError:
                pass

        try:
            return round(_fastest_us(lambda: sender.sendmsg(run, ancillary), drain, together=4), 3)
        except OSError:
            return None


def _fastest_us(call: Callable[[], object], after: Callable[[], None], together: int = CALLS) -> float:
    """Return the CPU time of one call in the fastest round; `after` runs, untimed, after each `together` calls."""
    rounds = []
    for _ in range(ROUNDS):
        spent = 0
        for _ in range(CALLS // together):
            began = time.thread_time_ns()
            for _ in range(together):
                call()
            spent += time.thread_time_ns() - began
            after()
        rounds.append(spent / (CALLS // together * together) / 1000)
    return min(rounds)
