"""Challenges: good once, in time, for one purpose; bounded."""

from itertools import count

import attrs

from supervisor.services.challenges import LASTS_S, MOST, MOST_OF_NETWORK, Challenges, For

LOGIN = For("login", "https://banken.example")


def numbered() -> Challenges:
    numbers = count()
    return Challenges(lambda: b"%d" % next(numbers))


def test_challenges_are_random() -> None:
    """32 bytes, each time others."""
    made = {Challenges().make(LOGIN, "net", 0) for _ in range(100)}
    assert len(made) == 100
    assert {len(each) for each in made} == {32}


def test_challenge_is_taken_once_right_or_wrong() -> None:
    """A wrong try uses it up."""
    challenges = numbered()
    first, second = [challenges.make(LOGIN, "net", 0) for _ in range(2)]
    assert challenges.take(first, LOGIN, 1)
    assert not challenges.take(first, LOGIN, 1)
    assert not challenges.take(second, attrs.evolve(LOGIN, purpose="add"), 1)
    assert not challenges.take(second, LOGIN, 1)


def test_challenge_is_good_for_its_purpose_page_and_session() -> None:
    """Each of them."""
    challenges = numbered()
    for other in ({"purpose": "add"}, {"origin": "https://other.example"}, {"session": "x"}):
        assert not challenges.take(challenges.make(LOGIN, "net", 0), attrs.evolve(LOGIN, **other), 0)


def test_challenge_ends() -> None:
    """At `LASTS_S`."""
    challenges = numbered()
    one, other = [challenges.make(LOGIN, "net", 0) for _ in range(2)]
    assert challenges.take(one, LOGIN, LASTS_S - 0.1)
    assert not challenges.take(other, LOGIN, LASTS_S)


def test_network_displaces_only_its_own_challenges() -> None:
    """A flood of one network ends no login of another."""
    challenges = numbered()
    honest = challenges.make(LOGIN, "honest", 0)
    flood = [challenges.make(LOGIN, "flood", 1) for _ in range(3 * MOST)]
    assert challenges.take(honest, LOGIN, 2)
    assert sum(challenges.take(each, LOGIN, 2) for each in flood) == MOST_OF_NETWORK


def test_many_networks_displace_no_single_challenge() -> None:
    """Of the networks that fill the table, one that has the most loses its oldest."""
    challenges = numbered()
    honest = challenges.make(LOGIN, "honest", 0)
    for number in range(10 * MOST):
        challenges.make(LOGIN, f"flood {number % (MOST // 8)}", 1)
    assert challenges.take(honest, LOGIN, 2)


def test_table_is_bounded_whatever_the_networks() -> None:
    """The oldest goes first."""
    challenges = numbered()
    made = [challenges.make(LOGIN, f"net {number}", 0) for number in range(2 * MOST)]
    assert [challenges.take(each, LOGIN, 1) for each in made] == [False] * MOST + [True] * MOST
