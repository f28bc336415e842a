"""When a viewer's path is too narrow, and when it is tried again."""

from actors.rtc.congestion import STEADY_S, Congestion


def lose(path: Congestion, lost: float, since: float, seconds: int) -> None:
    for second in range(seconds):
        path.report(lost, since + second)


def test_chance_is_no_narrow_path() -> None:
    path = Congestion()
    lose(path, 0.03, 0, 60)
    path.report(0.5, 61)
    path.report(0.0, 62)
    path.report(0.5, 63)
    assert not path.thin


def test_what_goes_on_is_and_it_is_tried_again_later_each_time() -> None:
    path, now, waits = Congestion(), 0.0, []
    for _ in range(5):
        lose(path, 0.4, now, 3)
        assert path.thin
        began = now = now + 3
        while path.thin:
            now += 1
            path.look(now)
        waits.append(now - began)
    assert waits == sorted(waits)
    assert (waits[0] < 11, waits[-1]) == (True, waits[-2])
    lose(path, 0.0, now, int(STEADY_S) + 1)
    lose(path, 0.4, now + STEADY_S + 1, 3)
    path.look(now + STEADY_S + 15)
    assert not path.thin


def test_a_path_that_was_narrow_is_so_again_at_the_first_loss() -> None:
    """And what it carries is what it carried at its worst: a queue hides the first losses."""
    path = Congestion()
    lose(path, 0.6, 0, 3)
    path.look(20)
    assert (path.thin, round(path.carried, 3)) == (False, 0.4)
    path.report(0.2, 21)
    assert (path.thin, round(path.carried, 3)) == (True, 0.4)


def test_a_receiver_that_counts_anew_is_listened_to() -> None:
    path = Congestion()
    for second in range(3):
        path.count(5000 + 100 * second, 0, second)
    for second in range(3, 8):
        path.count(100 * second, 50 * second, second)
    assert (path.loss, path.thin) == (0.5, True)


def test_reports_that_span_no_packet_hide_no_loss() -> None:
    """Five a second, and only one of them after a burst: the share is of all that was sent in a second."""
    path = Congestion()
    for tick in range(20):
        burst = tick // 5
        path.count(0xFFFFFF00 + 100 * burst, 60 * burst, tick / 5)
    assert (path.loss, path.thin) == (0.6, True)
