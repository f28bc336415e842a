"""Changes of access that a crash interrupts, between the journal and the file and within the writing of the file.

Rules of this file:
- After a restart nobody has a right that was taken away, and nobody has one that neither the time before nor the time
  after the change gives.
- An admin still logs in.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import TokenId, UserId
from supervisor.domain.rights import ALL, Right, Role, Scope
from supervisor.domain.session import LOGGED_OUT
from supervisor.services import access_file
from supervisor.services.accounts import Accounts, digest
from tests.kit.accounts import ANNA, BEN, ME, PASSWORDS, PlainHasher, add_users
from tests.kit.core import open_core
from tests.kit.domain import GATE

CLIENT, AGENT, NEW = "192.0.2.9", "a browser", "another password"
NAS = TokenId("nas")
Rights = tuple[frozenset[Right], bool]
"""The rights of a principal, and whether it has all cameras."""


class Crash(OSError):
    """The process ends here: nothing after it is done."""


@contextmanager
def half_file(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file of which half is written."""
    with open(path, "wb") as file:
        yield file
        size = file.tell()
    with open(path, "r+b") as file:
        file.truncate(size // 2)
    raise Crash


def crash(*_: object) -> None:
    raise Crash


def before_the_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(access_file, "private_file", crash)


def in_the_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(access_file, "private_file", half_file)


def before_the_new_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Path, "replace", crash)


def before_the_folder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(access_file, "sync_folder", crash)


POINTS = [before_the_file, in_the_file, before_the_new_name, before_the_folder]
CHANGES: dict[str, Callable[[Accounts, str], Awaitable[object]]] = {
    "add": lambda accounts, secret: accounts.add_user(UserId("carl"), Role.WATCHER, ALL, NEW, ME),
    "promote": lambda accounts, secret: accounts.change_user(BEN, Role.OPERATOR, ALL, ME),
    "demote": lambda accounts, secret: accounts.change_user(BEN, Role.ANALYST, Scope(cameras=(GATE,)), ME),
    "remove": lambda accounts, secret: accounts.remove_user(BEN, ME),
    "password": lambda accounts, secret: accounts.set_password(BEN, NEW, ME),
    "log in": lambda accounts, secret: accounts.log_in(ANNA, PASSWORDS[ANNA], CLIENT, AGENT),
    "log out": lambda accounts, secret: accounts.end_session(c.session_of(digest(secret)), LOGGED_OUT, ME),
    "token": lambda accounts, secret: accounts.make_token(TokenId("new"), Role.OPERATOR, ALL, None, ME),
    "revoke": lambda accounts, secret: accounts.end_token(NAS, ME),
}


async def rights_now(accounts: Accounts, secret: str, token: str) -> dict[str, Rights]:
    """The rights of everybody who can prove something: sessions, tokens and passwords."""
    found = {"session": accounts.by_session(secret), "token": accounts.by_token(token)}
    proofs = ((ANNA, PASSWORDS[ANNA]), (BEN, PASSWORDS[BEN]), (BEN, NEW), (UserId("carl"), NEW))
    for number, (name, password) in enumerate(proofs):
        try:
            opened = await accounts.log_in(name, password, f"192.0.2.{number}", AGENT)
        except Rejected:
            continue
        found[f"{name} {password}"] = accounts.by_session(opened.secret)
        await accounts.end_session(opened.session.session, LOGGED_OUT, ME)
    return {key: (frozenset(who.rights), who.scope.everything) for key, who in found.items() if who is not None}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("point", POINTS)
async def test_change_that_a_crash_interrupts_gives_no_right(
    point: Callable[[pytest.MonkeyPatch], None], change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal has the change, and the file does not, or has it without a synced name."""
    path, reference = tmp_path / "access.json", tmp_path / "whole.json"
    outcomes = []
    for file in (reference, path):
        async with open_core() as core:
            accounts = Accounts(core.kernel, file, PlainHasher)
            await accounts.restore()
            await add_users(accounts)
            session = (await accounts.log_in(BEN, PASSWORDS[BEN], CLIENT, AGENT)).secret
            token = await accounts.make_token(NAS, Role.WATCHER, ALL, None, ME)
            outcomes.append(await rights_now(accounts, session, token))
            if file is reference:
                await CHANGES[change](accounts, session)
            else:
                with monkeypatch.context() as patch:
                    point(patch)
                    with pytest.raises(Rejected, match="cannot be written"):
                        await CHANGES[change](accounts, session)
                accounts = Accounts(core.kernel, file, PlainHasher)
                await accounts.restore()
            outcomes.append(await rights_now(accounts, session, token))
            again = Accounts(core.kernel, file, PlainHasher)
            await again.restore()
            assert (again.damage, await rights_now(again, session, token)) == ("", outcomes[-1])
    before, after, _, restarted = outcomes
    nothing: Rights = frozenset(), False
    for key, (rights, is_all) in restarted.items():
        old, new = before.get(key, nothing), after.get(key, nothing)
        assert rights <= old[0] | new[0]
        assert is_all <= (old[1] or new[1])
        assert key.startswith(f"{BEN} ") or key in after, f"{key} was taken away"
    assert f"{ANNA} {PASSWORDS[ANNA]}" in restarted
    if change == "demote":
        assert not any(is_all for key, (_, is_all) in restarted.items() if key.startswith((f"{BEN} ", "session")))
    if change == "remove":
        assert not any(key.startswith((f"{BEN} ", "session")) for key in restarted)
