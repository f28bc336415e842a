"""When a viewer's path counts as too narrow, and when it is tried again."""

from actors.webrtc.congestion import STEADY_S, Congestion


def lose(path: Congestion, lost: float, since: float, seconds: int) -> None:
    for second in range(seconds):
        path.report(lost, since + second)


def test_chance_is_no_narrow_path() -> None:
    """A steady 3 % of loss, and single reports of 50 % with a good one between them."""
    path = Congestion()
    lose(path, 0.03, 0, 60)
    path.report(0.5, 61)
    path.report(0.0, 62)
    path.report(0.5, 63)
    assert not path.narrow


def test_lasting_congestion_delays_each_further_attempt() -> None:
    """The waits grow from about 10 s up to their limit; after 20 s without trouble they start at 10 s."""
    path, now = Congestion(), 0.0
    waits: list[float] = []
    for _ in range(5):
        lose(path, 0.4, now, 3)
        assert path.narrow
        began = now = now + 3
        while path.narrow:
            now += 1
            path.look(now)
        waits.append(now - began)
    assert waits == sorted(waits)
    assert (waits[0] < 11, waits[-1]) == (True, waits[-2])
    lose(path, 0.0, now, int(STEADY_S) + 1)
    lose(path, 0.4, now + STEADY_S + 1, 3)
    path.look(now + STEADY_S + 15)
    assert not path.narrow


def test_a_path_that_was_narrow_is_so_again_at_the_first_loss() -> None:
    """Its capacity counts as the lowest one seen, because a queue hides the first losses."""
    path = Congestion()
    lose(path, 0.6, 0, 3)
    path.look(20)
    assert (path.narrow, round(path.carried, 3)) == (False, 0.4)
    path.report(0.2, 21)
    assert (path.narrow, round(path.carried, 3)) == (True, 0.4)


def test_receiver_that_restarts_its_count_is_measured_again() -> None:
    """Its lower sequence numbers are a new base, and its loss of 50 % counts."""
    path = Congestion()
    for second in range(3):
        path.count(5000 + 100 * second, 0, second)
    for second in range(3, 8):
        path.count(100 * second, 50 * second, second)
    assert (path.loss, path.narrow) == (0.5, True)


def test_reports_that_span_no_packet_hide_no_loss() -> None:
    """With five reports a second, of which one follows a burst, the loss is a share of all packets of a second."""
    path = Congestion()
    for tick in range(20):
        burst = tick // 5
        path.count(0xFFFFFF00 + 100 * burst, 60 * burst, tick / 5)
    assert (path.loss, path.narrow) == (0.6, True)
