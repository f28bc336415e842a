"""The names of oddities: the API shows them, and scripts compare them."""

from actors.media.media import SourceLoss
from actors.media.oddities import Oddity


def test_each_oddity_has_its_own_name_and_says_how_it_is_handled() -> None:
    """No two share a name, and no text is empty."""
    assert len({oddity.code for oddity in Oddity}) == len(Oddity)
    assert all(oddity.does and oddity.handled for oddity in Oddity)


def test_oddities_are_counted_by_kind() -> None:
    """Two of one kind and one of another."""
    loss = SourceLoss()
    for oddity in (Oddity.CSEQ, Oddity.SEQUENCE, Oddity.CSEQ):
        loss.meet(oddity)
    assert loss.oddities == {Oddity.CSEQ: 2, Oddity.SEQUENCE: 1}
