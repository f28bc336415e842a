"""Honest viewers in a process of their own: `python -m tests.kit.attacks.viewers FPS URL ...`, a URL a viewer.

Prints a line when all play. Then each line of standard input ends a phase, and is answered by a JSON object: for each
viewer the intervals between its pictures as the kernel had them, the same without what the sender was late, and how
many pictures it missed. The end of the input is the end of the process.
"""

import json
import select
import sys
from itertools import pairwise

import attrs

from actors.bench.plan import Plan
from actors.bench.stream import CLOCK_RATE
from actors.rtc.receivers import PAUSE_S, Crowd
from tests.kit.rtp import stamped_at


@attrs.define
class Seen:
    """What one viewer got in this phase: of each picture when its last packet came, its RTP time, when it was sent."""

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


def main(urls: list[str], fps: int) -> None:
    crowd = Crowd(Plan(tuple(urls), 0, viewers=len(urls), stamps=True))
    crowd.join_all(urls)
    seen = [Seen(fps) for _ in crowd.viewers]
    for each, viewer in zip(seen, crowd.viewers.values(), strict=True):
        viewer.inspect = each.take
    print(json.dumps({"joined": len(seen), "refusal": crowd.refusal}), flush=True)
    while True:
        crowd.run(0.2, pause_s=PAUSE_S)
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                break
            print(json.dumps([each.report() for each in seen]), flush=True)
    for viewer in list(crowd.viewers.values()):
        crowd.remove(viewer)


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
