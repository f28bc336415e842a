"""Packets in their order, or what is made of their disorder."""

import random
from collections.abc import Callable

import attrs
import pytest

from actors.media import SourceLoss
from actors.sources.rtsp.rtcp import SenderReport
from actors.sources.rtsp.rtp import PATIENCE_S, WINDOW, Reorder, Track
from actors.sources.rtsp.timeline import Timeline
from tests.kit.packets import packet

GAP = -1


@attrs.define
class Log:
    """The sequence numbers whose payloads were taken; `GAP` where something was said to be missing."""

    seen: list[int] = attrs.field(factory=list)
    loss: SourceLoss = attrs.field(factory=SourceLoss)
    track: Track = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.track = Track(96, self, Timeline(90_000), self.loss)

    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        self.seen.append(int(data[at:stop]))

    def gap(self) -> None:
        self.seen.append(GAP)

    def receive(self, *numbers: int, ssrc: int = 1) -> "Log":
        for number in numbers:
            data = b"before" + numbered(number, ssrc) + b"behind"
            self.track.receive(data, 6, len(data) - 6)
        return self


def numbered(number: int, ssrc: int = 1) -> bytes:
    return packet(b"%d" % number, number, 0, False, ssrc=ssrc)


def test_what_comes_in_order_is_taken_over_the_wrap_too() -> None:
    assert Log().receive(65_534, 65_535, 0, 1).seen == [65_534, 65_535, 0, 1]


def test_a_gap_is_told_before_the_packet_behind_it() -> None:
    log = Log().receive(1, 2, 5)
    assert log.seen == [1, 2, GAP, 5]
    assert log.loss.lost == 2


def test_what_comes_twice_or_too_late_goes_no_further() -> None:
    log = Log().receive(1, 2, 2, 3, 1, 4)
    assert log.seen == [1, 2, 3, 4]
    assert log.loss == SourceLoss(late=2)
    again = Log().receive(*range(1, 9), 5, 6, 9, 7, 8, 10)
    assert (again.seen, again.loss) == ([*range(1, 11)], SourceLoss(late=4)), "two in a row are no new count"


def test_a_sender_that_begins_a_new_count_is_followed() -> None:
    """From its second packet on: the first could be a late one."""
    log = Log().receive(40_000, 40_001, 100, 101, 102)
    assert log.seen == [40_000, 40_001, GAP, 101, 102]


def test_another_sender_is_followed_at_once() -> None:
    log = Log().receive(1, 2).receive(500, 501, ssrc=9)
    assert log.seen == [1, 2, GAP, 500, 501]
    assert log.loss.lost == 0


@pytest.mark.parametrize(
    ("make", "taken"),
    [
        (lambda data: bytes([0x81]) + data[1:12] + bytes(4) + data[12:], True),  # a contributor
        (lambda data: bytes([0x90]) + data[1:12] + b"\xbe\xde\x00\x01abcd" + data[12:], True),  # an extension
        (lambda data: bytes([0xA0]) + data[1:] + b"\x00\x00\x03", True),  # padding
        (lambda data: bytes([0x40]) + data[1:], False),  # another version
        (lambda data: bytes([0x8F]) + data[1:], False),  # fifteen contributors that are not there
        (lambda data: bytes([0x90]) + data[1:12] + b"\xbe\xde\xff\xff", False),  # an extension beyond the end
        (lambda data: bytes([0xA0]) + data[1:] + b"\xff", False),  # more padding than packet
        (lambda data: data[:11], False),
        (lambda data: b"", False),
    ],
)
def test_what_else_a_header_may_hold(make: Callable[[bytes], bytes], taken: bool) -> None:
    log = Log()
    data = make(numbered(7))
    log.track.receive(data, 0, len(data))
    assert (log.seen, log.loss.malformed) == (([7], 0) if taken else ([], 1))


def test_other_payload_types_are_left_out_and_are_no_gap() -> None:
    log = Log().receive(1)
    other = packet(b"2", 2, 0, False, number=13)
    log.track.receive(other, 0, len(other))
    assert log.receive(3).seen == [1, 3]
    stranger = packet(b"4", 4, 0, False, number=13, ssrc=9)
    log.track.receive(stranger, 0, len(stranger))
    assert log.receive(4).seen == [1, 3, 4]


def test_reports_say_what_was_lost() -> None:
    """RFC 3550, section 6.4.1."""
    log = Log()
    assert log.track.report(0) is None
    log.receive(65_535, 0, 2)
    log.track.hear(SenderReport(1, 0, 0, 77), now=10.0)
    report = log.track.report(now=10.5)
    assert report is not None
    assert (report.fraction_lost, report.lost, report.highest) == (64, 1, 65_535 + 3)
    assert (report.middle, report.delay) == (77, 32_768)
    again = log.receive(3).track.report(11)
    assert again is not None
    assert (again.fraction_lost, again.lost) == (0, 1)


# ── over UDP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def reordered(*numbers: int, every_s: float = 0.001) -> Log:
    log = Log()
    order = Reorder(log.track, lambda: 0)
    for index, number in enumerate(numbers):
        order.receive(numbered(number), index * every_s)
    return log


def test_disorder_is_put_in_order() -> None:
    log = reordered(1, 3, 2, 4, 7, 6, 5, 8)
    assert log.seen == list(range(1, 9))
    assert (log.loss.lost, log.loss.late) == (0, 0)
    assert log.loss.reordered == 2


def test_any_shuffle_within_the_window_is_put_in_order() -> None:
    rng = random.Random(3)
    for _ in range(50):
        numbers = [0, *sorted(range(1, 300), key=lambda number: number + rng.uniform(0, WINDOW - 2))]
        log = reordered(*numbers, every_s=0)
        assert log.seen == list(range(300))


def test_a_packet_that_is_lost_is_waited_for_a_moment() -> None:
    within = int(PATIENCE_S / 0.01)
    log = reordered(0, *range(2, 2 + within - 1), every_s=0.01)
    assert log.seen == [0]
    log = reordered(0, *range(2, 2 + within + 2), every_s=0.01)
    assert log.seen[:3] == [0, GAP, 2]


def test_no_more_than_a_window_waits() -> None:
    log = reordered(0, *range(2, WINDOW + 3), every_s=0)
    assert log.seen == [0, GAP, *range(2, WINDOW + 3)]


def test_duplicates_of_what_waits_are_counted_once_each() -> None:
    log = reordered(0, 2, 2, 1, 1)
    assert log.seen == [0, 1, 2]
    assert log.loss.late == 2


def test_a_new_count_over_udp_is_followed() -> None:
    log = reordered(40_000, 5, 6, 7)
    assert log.seen == [40_000, GAP, 6, 7]
