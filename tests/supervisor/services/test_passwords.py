"""Passwords: their hashes."""

from supervisor.services.passwords import Argon2, Passwords, normal
from tests.kit.accounts import PlainHasher

PASSWORD = "correct horse"


def test_passwords_are_hashed_by_argon2id() -> None:
    """With 12 MiB; another text than a hash matches nothing."""
    hasher = Argon2()
    hashed = hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=12288,t=3,p=1$")
    assert hasher.matches(hashed, PASSWORD)
    assert not hasher.matches(hashed, "wrong")
    assert not hasher.matches("plain", PASSWORD)


async def test_empty_hash_matches_no_password() -> None:
    """And it is checked as long as any other."""
    hasher = PlainHasher()
    passwords = Passwords(lambda: hasher)
    assert not await passwords.matches("", PASSWORD)
    assert not await passwords.matches("", "")
    assert await passwords.matches(await passwords.hash(PASSWORD), PASSWORD)


def test_password_is_the_same_however_it_is_composed() -> None:
    """A keyboard may send é as one character or as two."""
    assert normal("caf\u00e9") == normal("cafe\u0301")
