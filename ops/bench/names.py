"""Measure whether time tells a camera outside the scope from an unknown one: `.venv/bin/python ops/bench/names.py`.

A real daemon runs two cameras; a token has one of them in its scope. Every route that names a camera, and the
WebSocket, is asked in turns for the other one and for two names that no camera has. The answers must be equal, and the
ranks of their times, too (Mann and Whitney): `z` of two equal names is below 4. Exit 1 otherwise.
"""

import argparse
import json
import math
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.daemon import open_daemon  # noqa: E402
from tests.kit.http import request  # noqa: E402

SEEN, HIDDEN, UNKNOWN, OTHER = "gate", "yard", "yarc", "yord"
MOST_Z = 4.0
"""A row of equal names is beyond it once in 16,000 runs."""
PAUSE_S = 0.01
"""Between two requests: the server delays a client that asks faster, for longer than an answer takes."""
JSON, SDP = "application/json", "application/sdp"
OFFER = (ROOT / "tests" / "kit" / "chromium.sdp").read_text()
REPORT = {"camera": "NAME", "key": "KEY", "objects": [{"label": "person", "confidence": 0.9}]}
ROUTES = {
    "GET /api/cameras/NAME": ("", ""),
    "POST /api/cameras/NAME/retry": ("", ""),
    "PUT /api/cameras/NAME/privacy": ('{"on": true}', JSON),
    "GET /api/cameras/NAME/about": ("", ""),
    "GET /api/events?camera=NAME": ("", ""),
    "GET /api/events?stream=camera/NAME": ("", ""),
    "GET /api/timeline?camera=NAME": ("", ""),
    "GET /api/availability?camera=NAME&from=1h": ("", ""),
    "GET /api/detections?camera=NAME": ("", ""),
    "GET /cameras/NAME/snapshot.jpg": ("", ""),
    "GET /cameras/NAME/snapshot.jpg?cached": ("", ""),
    "GET /cameras/NAME/stream.mjpeg": ("", ""),
    "POST /whep/NAME": (OFFER, SDP),
    "OPTIONS /whep/NAME": ("", ""),
    "DELETE /whep/NAME/PEER": ("", ""),
    "POST /api/leases": ('{"kind": "viewer", "camera": "NAME"}', JSON),
}
"""Each with its body and the type of that. PEER is a viewer of the hidden camera; for other names it does not exist."""


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def ask(self, method: str, path: str, body: str, kind: str) -> tuple[float, int, bytes]:
        """The seconds until the whole answer, its status and its body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self._token}"]
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}"] if body else []
        data = "\r\n".join([*lines, "", body]).encode()
        while True:
            began = time.perf_counter()
            try:
                self._socket.sendall(data)
                first = self._file.readline()
            except OSError:
                first = b""
            if first:
                break
            self.close()  # the server has closed it: it did not read the body of a request that it refused
            self._connect()
        status, length, is_last = int(first.split()[1]), 0, False
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            is_last |= line.lower() == b"connection: close\r\n"
        answer = self._file.read(length)
        took = time.perf_counter() - began
        if is_last:
            self.close()
            self._connect()
        return took, status, answer

    def upgrade(self) -> None:
        """Open the WebSocket of the events."""
        lines = ("GET /ws/events HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self._token}")
        lines += ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        lines += ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "")
        self._socket.sendall("\r\n".join(lines).encode())
        while self._file.readline() != b"\r\n":
            pass

    def say(self, message: dict[str, object]) -> float:
        """The seconds until the reply to a message."""
        data = json.dumps(message).encode()
        began = time.perf_counter()
        self._socket.sendall(struct.pack("!BB4x", 0x81, 0x80 | len(data)) + data)
        while True:
            length = self._file.read(2)[1] & 127
            if length > 125:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            found = self._file.read(length)
            if found.startswith(b"{") and json.loads(found).get("id") == message["id"]:
                return time.perf_counter() - began

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def connected(port: int, token: str) -> Iterator[Client]:
    client = Client(port, token)
    try:
        yield client
    finally:
        client.close()


def take_turns(tries: int, ask: Callable[[str], float]) -> dict[str, list[float]]:
    """The times of each name, which are asked in random order."""
    took: dict[str, list[float]] = {HIDDEN: [], UNKNOWN: [], OTHER: []}
    names, dice = list(took), random.Random(1)
    for _ in range(tries):
        dice.shuffle(names)
        for name in names:
            time.sleep(PAUSE_S)
            took[name].append(ask(name))
    return took


def rank_z(some: list[float], others: list[float]) -> float:
    """How far the ranks of two samples are from those of one, in standard deviations."""
    ranks = {value: rank for rank, value in enumerate(sorted(some + others), 1)}
    count, rest = len(some), len(others)
    above = sum(ranks[value] for value in some) - count * (count + 1) / 2
    return (above - count * rest / 2) / math.sqrt(count * rest * (count + rest + 1) / 12)


def ask_once(
    client: Client, method: str, path: str, body: str, kind: str, statuses: set[int], answers: set[bytes], name: str
) -> float:
    """The seconds; status and answer are noted, without the name."""
    took, status, answer = client.ask(method, path.replace("NAME", name), body.replace("NAME", name), kind)
    statuses.add(status)
    answers.add(answer.replace(name.encode(), b"NAME"))
    return took


def measure(port: int, token: str, peer: str, tries: int) -> dict[str, tuple[dict[str, list[float]], set[int]]]:
    """The times of each route, and the statuses of its answers."""
    found: dict[str, tuple[dict[str, list[float]], set[int]]] = {}
    with connected(port, token) as client:
        for row, (body, kind) in ROUTES.items():
            method, path = row.split(" ")
            statuses, answers = set[int](), set[bytes]()

            ask = partial(ask_once, client, method, path.replace("PEER", peer), body, kind, statuses, answers)
            found[row] = take_turns(tries, ask), statuses
            assert len(answers) == 1, (row, answers)
    with connected(port, token) as client:
        client.upgrade()
        count = iter(range(10**6))
        grant = {"type": "lease.grant", "kind": "viewer"}
        found["WebSocket: lease.grant"] = (
            take_turns(tries, lambda name: client.say({**grant, "camera": name, "id": next(count)})), set()
        )  # fmt: skip
    return found


async def run(tries: int) -> int:
    with tempfile.TemporaryDirectory(prefix="banken-names-") as folder:
        cameras = dict.fromkeys((SEEN, HIDDEN), "test:160x90@5")
        async with open_daemon(Path(folder), cameras) as daemon:
            for name in cameras:
                await daemon.wait_camera(name, "live")
            await daemon.offer(HIDDEN, OFFER)
            peer = (await daemon.get("/api/peers"))["peers"][0]["id"]
            control, kind = Path(folder) / "control", {"Host": "localhost", "Content-Type": JSON}
            admin = {"user": "anna", "password": "correct horse", "role": "admin", "everything": True}
            token = {"token": "seen", "role": "operator", "cameras": [SEEN]}
            assert (await request(control, "POST", "/api/users", json.dumps(admin), kind)).status == 201
            secret = (await request(control, "POST", "/api/tokens", json.dumps(token), kind)).json["secret"]
            found = await trio.to_thread.run_sync(measure, daemon.port, secret, peer, tries)
    wrong = 0
    print(f"{stated()}\n")
    print(f"| asked ({tries} tries, medians in µs) | status | outside the scope | unknown | unknown, too | z |")
    print("|---|---|---|---|---|---|")
    for row, (took, statuses) in found.items():
        z = rank_z(took[HIDDEN], took[UNKNOWN] + took[OTHER])
        wrong += abs(z) > MOST_Z
        times = " | ".join(f"{statistics.median(each) * 1e6:.0f}" for each in took.values())
        print(f"| {row} | {', '.join(map(str, statuses))} | {times} | {z:.1f} |")
    return 1 if wrong else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=200)
    sys.exit(trio.run(run, parser.parse_args().tries))


if __name__ == "__main__":
    main()
