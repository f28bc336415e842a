"""Effects of a bad line on packets, in virtual time."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.kit.link import Line, Link

SIZE = 1250
"""Ten thousand bits: 10 ms at 1 Mbit/s."""


def carry(link: Link, times: list[float], seed: int = 1) -> list[tuple[float, int]]:
    """When each packet comes out, by its number; the line is asked at every instant at which something does."""
    line = Line[int](link, Random(seed))
    out: list[tuple[float, int]] = []

    def drain(until: float) -> None:
        while line.next_at <= until:
            at = line.next_at
            out.extend((round(at, 6), number) for number in line.receive(at))

    for number, now in enumerate(times):
        drain(now)
        line.send(number, SIZE, now)
    drain(1e9)
    traffic = line.traffic
    assert traffic.taken == len(times) == traffic.lost + traffic.dropped + traffic.delivered
    assert traffic.delivered_bytes == len(out) * SIZE
    return out


def test_a_good_line_changes_nothing() -> None:
    """Each packet arrives at the instant at which it was sent, in order."""
    assert carry(Link(), [0.0, 0.0, 1.0]) == [(0.0, 0), (0.0, 1), (1.0, 2)]


def test_a_long_line_delays_and_keeps_the_order() -> None:
    """Every packet is 20 ms later."""
    assert carry(Link(delay_s=0.02), [0.0, 0.001, 0.5]) == [(0.02, 0), (0.021, 1), (0.52, 2)]


def test_a_narrow_line_sends_one_packet_after_the_other() -> None:
    """And is free again at once when nobody waits."""
    assert carry(Link(bit_rate=1e6), [0.0, 0.0, 0.005, 1.0]) == [(0.01, 0), (0.02, 1), (0.03, 2), (1.01, 3)]


def test_a_full_queue_drops_the_newcomer() -> None:
    """One packet is on the wire and, as a queue counts bytes, its unsent rest waits with two others."""
    link = Link(bit_rate=1e6, queue_bytes=3 * SIZE)
    assert carry(link, [0.0] * 5 + [0.01]) == [(0.01, 0), (0.02, 1), (0.03, 2), (0.04, 5)]


def test_a_packet_larger_than_the_queue_still_passes_an_idle_line() -> None:
    """With a queue of one byte, only the packet that had to wait is dropped."""
    assert carry(Link(bit_rate=1e6, queue_bytes=1), [0.0, 0.001, 0.01]) == [(0.01, 0), (0.02, 2)]


def test_the_longest_wait_is_that_of_the_last_in_the_queue() -> None:
    """Two packets of 1250 bytes at 1 Mbit/s are in front of the third: 20 ms."""
    line = Line[int](Link(bit_rate=1e6), Random(1))
    for number in range(3):
        line.send(number, SIZE, 0.0)
    assert round(line.traffic.longest_wait_s, 6) == 0.02
    assert line.receive(0.019) == [0]


def test_lost_packet_does_not_use_the_bottleneck() -> None:
    """With a loss of 100 % the bottleneck stays idle."""
    line = Line[int](Link(loss=1.0, bit_rate=1e6), Random(1))
    line.send(0, SIZE, 0.0)
    assert (line.traffic.lost, line.next_at) == (1, float("inf"))


def test_share_of_lost_packets_is_that_of_the_link() -> None:
    """3 % of ten thousand: within three standard deviations."""
    out = carry(Link(loss=0.03), [number / 1000 for number in range(10_000)])
    assert 249 <= 10_000 - len(out) <= 351


def test_packets_change_places_only_when_they_are_nearer_than_the_jitter() -> None:
    """Packets 1 ms apart move by at most ten; those more than 10 ms apart keep their order."""
    link = Link(delay_s=0.02, jitter_s=0.005)
    near, far = ([number for _, number in carry(link, [n * step for n in range(500)])] for step in (0.001, 0.0101))
    assert far == sorted(far)
    assert near != sorted(near)
    assert all(abs(place - number) <= 10 for place, number in enumerate(near))


def test_jitter_can_keep_the_order() -> None:
    """Packets after a late one are late too, so times vary and the order does not."""
    link = Link(delay_s=0.02, jitter_s=0.005, ordered=True)
    out = carry(link, [number / 1000 for number in range(500)])
    assert [number for _, number in out] == list(range(500))
    assert {round(at - number / 1000, 3) for at, number in out} >= {0.018, 0.022}


@given(st.integers(), st.lists(st.floats(0, 10), max_size=50).map(sorted))
def test_the_same_seed_is_the_same_line(seed: int, times: list[float]) -> None:
    """And a packet never comes out before it went in, nor later than queue, wire and jitter can hold it."""
    link = Link(loss=0.2, delay_s=0.02, jitter_s=0.005, bit_rate=1e6, queue_bytes=10 * SIZE)
    out = carry(link, times, seed)
    assert out == carry(link, times, seed)
    for at, number in out:
        assert 0.0249 <= at - times[number] <= 0.1 + 0.01 + 0.0251


def test_another_seed_is_another_line() -> None:
    """Twenty seeds lose twenty different sets of packets."""
    times = [number / 100 for number in range(100)]
    link = Link(loss=0.5)
    assert len({tuple(carry(link, times, seed)) for seed in range(20)}) == 20
