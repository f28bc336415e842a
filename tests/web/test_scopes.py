"""R17: whoever has a scope learns of no camera outside it, by any route or WebSocket. `ops/scopes.py` asks more."""

from tests.kit.scopes import run_worlds, unasked

WORLDS, PRINCIPALS, SHARE = range(1, 41), 5, 0.1
"""200 principals; each asks a tenth of the requests, chosen at random."""


async def test_no_answer_names_a_camera_outside_the_scope() -> None:
    """In no byte, over every route and WebSocket; a camera outside is answered as an unknown one, byte for byte."""
    tally = await run_worlds(WORLDS, PRINCIPALS, SHARE)
    assert tally.leaks == []
    assert unasked(tally.asked) == set()
    assert tally.principals == len(WORLDS) * PRINCIPALS
    assert min(tally.hidden, tally.compared) > tally.principals
