"""The loop's time for web work: bounded in a row and in a second, for all and for each client."""

from web import loop_budgets as s
from web.loop_budgets import LoopBudgets


def work(shares: LoopBudgets, client: str | None, piece_s: float, begin: float, end: float) -> float:
    """Seconds of work that a client gets that always has a piece to do."""
    now, done = begin, 0.0
    while now < end:
        wait = max(shares.all_wait_s(now), shares.client_wait_s(client, now))
        if wait > 0:
            now += wait + 1e-6
        else:
            shares.spend(client, piece_s, now)
            done, now = done + piece_s, now + piece_s
    return done


def test_client_that_floods_gets_its_burst_and_then_its_rate() -> None:
    """However long it floods, its share of the loop is bounded."""
    done = work(LoopBudgets(), "10.0.0.1", 0.001, 0, 100)
    assert done <= s.CLIENT_BURST_S + 100 * s.CLIENT_RATE + 0.01


def test_all_clients_together_leave_time_for_media() -> None:
    """A hundred clients that flood get no more than `ALL_RATE`, and `ALL_BURST_S` in a row."""
    shares, now, done = LoopBudgets(), 0.0, 0.0
    while now < 10:
        for number in range(100):
            if shares.all_wait_s(now) <= 0 and shares.client_wait_s(f"10.0.0.{number}", now) <= 0:
                shares.spend(f"10.0.0.{number}", 0.0005, now)
                done += 0.0005
        now += 0.001
    assert done <= s.ALL_BURST_S + 10 * s.ALL_RATE + 0.001


def test_time_that_was_taken_too_much_is_owed() -> None:
    """One dear request is waited for by its client alone, longer than by the others."""
    shares = LoopBudgets()
    shares.spend("10.0.0.1", s.CLIENT_BURST_S + 0.1, 0.0)
    assert abs(shares.client_wait_s("10.0.0.1", 0.0) - 0.1 / s.CLIENT_RATE) < 1e-6
    assert shares.client_wait_s("10.0.0.2", 0.0) == 0
    assert shares.client_wait_s(None, 0.0) == 0, "a proxy is no client"


def test_table_is_bounded_and_forgets_no_debt() -> None:
    """A client that owes has its debt still, however many names others use."""
    shares = LoopBudgets()
    shares.spend("debtor", 60.0, 0.0)
    for number in range(3 * s.MOST_CLIENTS):
        shares.spend(f"client {number}", 0.001, 0.0)
    assert len(shares._clients) <= s.MOST_CLIENTS
    assert len(shares._shared) <= s.SHARED
    assert shares.client_wait_s("debtor", 1.0) > 100
    for number in range(s.MOST_CLIENTS):
        shares.spend(f"later {number}", 0.0, 1000.0)
    assert "later 2000" in shares._clients, "full buckets make room"
