"""The share of one camera in the loop: media never waits, floods do."""

import pytest

from actors.cpu_share import BURST_S, MESSAGE_S, RATE, CpuShare


class Cost:
    """A clock of processor time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def read(share: CpuShare, cost: Cost, cost_s: float, messages: int, now: float) -> float:
    """Return the pause after one portion of bytes."""
    share.begin(0)
    cost.now += cost_s
    return share.pause(now, messages)


def test_camera_that_sends_media_never_waits() -> None:
    """A camera of 50 Mbit/s sends 100 portions a second of 1 ms each, for a minute."""
    cost = Cost()
    share = CpuShare(0.0, cost)
    assert not any(read(share, cost, 0.001, 0, number / 100) for number in range(6000))


def test_camera_that_floods_is_read_no_faster_than_its_share() -> None:
    """The pauses add up to the rest of its share, whatever the bytes are."""
    cost = Cost()
    share, now = CpuShare(0.0, cost), 0.0
    while now < 100:
        now += 0.0005
        now += read(share, cost, 0.0005, 0, now)
    assert cost.now == pytest.approx(BURST_S + 100 * RATE, rel=0.05)


def test_camera_that_floods_with_messages_waits_although_they_cost_little() -> None:
    """A message has a fixed charge, because its later effects are not measured here."""
    cost = Cost()
    share = CpuShare(0.0, cost)
    assert read(share, cost, 0.0, int(BURST_S / MESSAGE_S), 0.0) == pytest.approx(0)
    assert read(share, cost, 0.0, 40, 0.0) == pytest.approx(40 * MESSAGE_S / RATE)
