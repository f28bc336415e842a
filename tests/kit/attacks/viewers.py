"""Honest viewers in one separate process: `python -m tests.kit.attacks.viewers FPS URL ...`, one URL per viewer.

`rtsp://HOST:PORT/CAMERA#TRANSPORT` is a reader. Of it only pictures are counted, and lost packets in place of pictures.

Prints a line when all play. Then each line of standard input ends a phase, and is answered by a JSON object. It has,
for each viewer, the intervals between its access units by kernel time, the same without the lateness of the sender, and
the number of missed ones. The process ends with its input.
"""

import json
import select
import sys
from contextlib import suppress
from itertools import pairwise

import attrs

from ops.bench.lib.plan import Plan
from ops.bench.lib.receivers import PAUSE_S, Crowd
from ops.bench.lib.rtsp_receivers import BenchReader, ReadPlan
from ops.bench.lib.stream import CLOCK_RATE
from tests.kit.rtp import stamped_at


@attrs.define
class Seen:
    """The access units of one viewer in this phase: arrival of the last packet, RTP time, time of sending."""

    fps: int
    pictures: list[tuple[int, int, int]] = attrs.field(factory=list)
    _sent_ns: int = 0

    def take(self, packet: bytes, arrived_ns: int) -> None:
        self._sent_ns = stamped_at(packet) or self._sent_ns
        if packet[1] & 0x80:
            self.pictures.append((arrived_ns, int.from_bytes(packet[4:8]), self._sent_ns))

    def report(self) -> dict[str, object]:
        """As JSON, in milliseconds. The newest picture stays: the next phase begins with it."""
        intervals, corrected, missed = [], [], 0
        for (at, ticks, sent), (next_at, next_ticks, next_sent) in pairwise(self.pictures):
            steps = round(((next_ticks - ticks) & 0xFFFFFFFF) * self.fps / CLOCK_RATE)
            missed += max(0, steps - 1)
            intervals.append((next_at - at) / 1e6)
            corrected.append((next_at - at - (next_sent - sent)) / 1e6 + 1000 / self.fps)
        del self.pictures[:-1]
        return {"pictures": len(intervals), "missed": missed, "intervals": intervals, "corrected": corrected}


@attrs.define
class Reader:
    """A reader by RTSP, and its counts at the end of the last phase."""

    source: BenchReader
    _pictures: int = 0
    _lost: int = 0

    def read(self) -> None:
        """Read what has come. A reader whose connection is closed gets no more pictures."""
        with suppress(OSError):
            self.source.read()
            self.source.report()

    def report(self) -> dict[str, object]:
        pictures, lost = self.source.pictures, self.source.last - self.source.first + 1 - self.source.packets
        counts = {"pictures": pictures - self._pictures, "missed": lost - self._lost}
        self._pictures, self._lost = pictures, lost
        return {**counts, "intervals": [], "corrected": []}


def main(addresses: list[str], fps: int) -> None:
    urls = [url for url in addresses if not url.startswith("rtsp:")]
    crowd = Crowd(Plan(tuple(urls), 0, viewers=len(urls), stamps=True))
    crowd.join_all(urls)
    seen = [Seen(fps) for _ in crowd.viewers]
    for each, viewer in zip(seen, crowd.viewers.values(), strict=True):
        viewer.inspect = each.take
    plans = [url.split("#") for url in addresses if url.startswith("rtsp:")]
    readers = [Reader(BenchReader(ReadPlan(url, transport, 1, 0, 0))) for url, transport in plans]
    print(json.dumps({"joined": len(seen) + len(readers), "refusal": crowd.refusal}), flush=True)
    while True:
        crowd.run(0.2, pause_s=PAUSE_S)
        for reader in readers:
            reader.read()
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                break
            print(json.dumps([each.report() for each in seen] + [each.report() for each in readers]), flush=True)
    for viewer in list(crowd.viewers.values()):
        crowd.remove(viewer)


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
