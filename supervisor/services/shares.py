"""Shares: links are made, opened and ended. The state has the facts and the hashes; nothing has the secrets.

Rules of this file:
- A share and its viewers end at its time, also while the access file cannot be written: the time itself denies.
- A visit ends when its browser watches nothing, has no connection and sends no request for a while. Then another one
  may enter.
- A secret that is not known is counted against its network, as a wrong password is, and has one answer.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trio

from ..domain import commands as c
from ..domain.access import Principal, of_visit, rights_of, shown
from ..domain.clients import network_of
from ..domain.errors import Refusal, Rejected
from ..domain.ids import ShareId, VisitId
from ..domain.rights import SHARE, Scope
from ..domain.share import LEFT, OVER, REVOKED, refused, share_of, visit_of
from ..domain.state import Visit
from ..domain.values import Fault, Reason
from ..ports.decisions import ACTOR, Origin
from ..ports.shares import Entered, NewLink
from ..runtime.kernel import Kernel
from .accounts import Accounts, digest

AWAY_S = 60.0
"""A visit without a connection or a request for this time ends. A page that lost its network is back before that."""
LOOK_S = 0.5
"""Between two looks at the clock while somebody watches: the wall clock may be set."""
REST_S = 60.0
WRONG_LINK = Reason("wrong-link", "no share has this link", Fault.NONE)
ENDED_LINK = Reason("ended-link", "the share of this link has ended", Fault.NONE)
FULL_LINK = Reason("link-full", "as many viewers as it permits have this link open", Fault.NONE)


class Shares:
    """Made once by the daemon. Every method may be called by any number of tasks."""

    def __init__(
        self,
        kernel: Kernel,
        accounts: Accounts,
        new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._kernel, self._accounts, self._new_secret = kernel, accounts, new_secret
        self._seen: dict[VisitId, float] = {}
        self._connections: Counter[VisitId] = Counter()

    def by_visit(self, secret: str) -> Principal | None:
        """The principal with this visit; None if there is no such visit now. Takes some microseconds."""
        hashed = digest(secret)
        known = self._kernel.state.visits.get(visit_of(hashed))
        if self._accounts.damage or known is None or not secrets.compare_digest(known.hash, hashed):
            return None
        self._seen[known.visit] = self._now()
        who = rights_of(self._kernel.state, of_visit(known), self._kernel.clock.wall_ns())
        return who if len(who.rights) > 1 else None

    @contextmanager
    def staying(self, principal: str) -> Iterator[None]:
        """A visit lasts at least as long as the block."""
        visit = VisitId(principal.rpartition("/")[2])
        self._connections[visit] += 1
        try:
            yield
        finally:
            self._connections[visit] -= 1
            if not self._connections[visit]:
                del self._connections[visit]
            if visit in self._kernel.state.visits:
                self._seen[visit] = self._now()

    async def make(self, scope: Scope, for_s: float, viewers: int, label: str, origin: Origin) -> NewLink:
        """Make a share that ends in `for_s` seconds. Its secret is not kept, only its hash. Raises `Rejected`."""
        secret = self._new_secret()
        until_ns = self._kernel.clock.wall_ns() + round(for_s * 1e9)
        hashed = digest(secret)
        command = c.MakeShare(hashed, scope, until_ns, viewers, label, shown(origin.principal))
        await self._accounts.change(command, origin)
        known = self._kernel.state.shares.get(share_of(hashed))
        if known is None:
            raise refused(self._kernel.state, share_of(hashed))
        return NewLink(known, secret)

    async def end(self, share: ShareId, origin: Origin) -> None:
        """Revoke a share, with its viewers. Raises `Rejected`."""
        await self._accounts.change(c.EndShare(share, REVOKED, origin.principal), origin)

    async def enter(self, secret: str, client: str, agent: str, visit: str) -> Entered:
        """Open the share with this secret; `visit` is the secret of a visit that the browser already has, if any.

        The browser stays the same viewer if that visit is one of this share. Raises `Rejected`.
        """
        self._accounts.require_whole()
        state, hashed = self._kernel.state, digest(secret)
        known = state.shares.get(share_of(hashed))
        if known is None or not secrets.compare_digest(known.hash, hashed):
            raise self._refused(share_of(hashed), client)
        here = state.visits.get(visit_of(digest(visit))) if self.by_visit(visit) is not None else None
        if here is not None and here.share == known.share:
            return Entered(known, visit)
        own = self._new_secret()
        try:
            receipt = await self._kernel.submit(
                c.OpenVisit(known.share, digest(own), client, agent), origin=Origin(f"client:{client}")
            )
        except Rejected as error:
            if error.refusal is Refusal.FULL:
                self._accounts.attempts.say_failed("", client, FULL_LINK)
            raise
        if not receipt.durable:
            raise Rejected(Refusal.UNAVAILABLE, "the journal cannot write, so no link can be opened", 5.0)
        self._seen[visit_of(digest(own))] = self._now()
        if here is not None:
            self._end_visit(here, LEFT)
        return Entered(known, own)

    def _refused(self, share: ShareId, client: str) -> Rejected:
        """The refusal of the secret of no share, which is counted and journaled."""
        state, attempts = self._kernel.state, self._accounts.attempts
        if share in state.ended_shares:  # whoever knows this has had the link
            attempts.say_failed("", client, ENDED_LINK)
            return refused(state, share)
        account = f"{SHARE}{network_of(client)}"
        wait_s = attempts.wait_s(account, client)
        attempts.say_failed("", client, WRONG_LINK)
        if wait_s > 0:
            return Rejected(Refusal.RATE_LIMITED, f"too many wrong links; try again in {wait_s:.0f} s", wait_s)
        attempts.take(account, client)
        return refused(state, share)

    def leave(self, principal: str) -> None:
        """End a visit. Nothing happens for another principal."""
        visit = VisitId(principal.rpartition("/")[2])
        known = self._kernel.state.visits.get(visit)
        if known is not None and of_visit(known) == principal:
            self._end_visit(known, LEFT)

    def _end_visit(self, visit: Visit, reason: Reason) -> None:
        self._kernel.emit(c.EndVisit(visit.visit, reason), origin=ACTOR)

    async def run(self) -> None:
        """End shares at their time, and visits whose browsers are gone, until it is cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        kernel = self._kernel
        while True:
            self._sweep()
            state, now_ns = kernel.state, kernel.clock.wall_ns()
            left_s = min(((share.until_ns - now_ns) / 1e9 for share in state.shares.values()), default=REST_S)
            with trio.move_on_after(min(max(left_s, LOOK_S / 5), LOOK_S if state.visits else REST_S)):
                await kernel.wait_access(state.access_changes)

    def _sweep(self) -> None:
        state, now, now_ns = self._kernel.state, self._now(), self._kernel.clock.wall_ns()
        for share in [each for _, each in sorted(state.shares.items()) if now_ns >= each.until_ns]:
            with suppress(Rejected):
                self._kernel.emit(c.EndShare(share.share, OVER, ACTOR.principal), origin=ACTOR)
        visits, watching = self._kernel.state.visits, {lease.by for lease in self._kernel.state.leases.values()}
        self._seen = {name: self._seen.get(name, now) for name in visits}
        for name, visit in sorted(visits.items()):
            if not self._connections[name] and of_visit(visit) not in watching and now - self._seen[name] >= AWAY_S:
                with suppress(Rejected):
                    self._end_visit(visit, LEFT)

    def _now(self) -> float:
        return self._kernel.clock.mono_ns() / 1e9
