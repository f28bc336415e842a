"""Heartbeats of lease holders: the only fact about leases that is not in the state, since it is not an event.

Rules of this file:
- The domain decides on a renewal (owner, and whether the lease may go on); only the time is stored, in a table.
- Nothing ends here. A lease without a renewal for its time to live is reported, and the domain decides.
- A sweep removes ended leases from the table.
"""

import math
from collections.abc import Iterable

import trio

from ..domain import commands as c
from ..domain.errors import Refusal, Rejected
from ..domain.events import LeaseEnded, Recorded
from ..domain.ids import LeaseId, lease_stream
from ..domain.lease import TIME_IS_UP
from ..domain.state import Lease
from ..domain.values import Fault, LeaseKind, Reason
from ..ports.asking import origin_of
from ..ports.decisions import Origin
from ..ports.viewing import LeaseOver
from ..runtime.kernel import Kernel

SWEEP_S = 10.0
AT_ONCE = 50
"""Ends in a row before other tasks run: each is an event."""
REFUSALS_EVERY_S = 1.0
"""One refusal in each interval is journaled; those in between are counted."""


class Leases:
    """Made once. `renew` takes some microseconds, a sweep some tenths of a microsecond for each lease."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._heard: dict[LeaseId, int] = {}
        self._said_at = -REFUSALS_EVERY_S
        self._suppressed = 0

    def grant(self, command: c.GrantLease | c.OpenPeer) -> Recorded:
        """Grant a lease, or open a peer under one; a refusal is journaled, too. The last event. Raises `Rejected`."""
        try:
            granted = self._kernel.emit(command, origin=origin_of(command.client)).last
        except Rejected as refused:
            self._say_refused(command, refused)
            raise
        assert granted is not None
        if isinstance(command, c.GrantLease):
            self._heard[command.lease] = self._kernel.clock.mono_ns()
        return granted

    def renew(self, lease: LeaseId, owner: str, idle_s: float, origin: Origin) -> Lease:
        """Its holder, who knows its secret (hashed: `owner`), is there.

        Raises `Rejected` for a lease that is over, or another's, and `LeaseOver` when it had to be ended just now.
        """
        renewal = c.RenewLease(lease, owner, idle_s)
        for ended in self._kernel.emit(renewal, after=self._granted(lease), origin=origin).events:
            assert isinstance(ended.event, LeaseEnded)
            raise LeaseOver(lease, ended.event.reason)
        self._heard[lease] = self._kernel.clock.mono_ns()
        return self._kernel.state.leases[lease]

    def statistics(self) -> int:
        """How many holders are kept in mind."""
        return len(self._heard)

    def expires_ns(self, lease: Lease) -> int:
        """The wall time at which it ends if nothing more is heard; that of a connection lives on while that does."""
        return self.expiries_ns([lease])[lease.lease]

    def expiries_ns(self, leases: Iterable[Lease]) -> dict[LeaseId, int]:
        """As `expires_ns`, for many at one instant."""
        kernel = self._kernel
        now_ns, mono_ns = kernel.clock.wall_ns(), kernel.clock.mono_ns()
        held_ns = now_ns + int(kernel.state.limits.disconnected_after_s * 1e9)
        ends: dict[LeaseId, int] = {}
        for lease in leases:
            if not lease.ttl_s:
                ends[lease.lease] = held_ns if lease.until_ns is None else lease.until_ns
                continue
            until_ns = now_ns - mono_ns + self._heard.get(lease.lease, mono_ns) + int(lease.ttl_s * 1e9)
            ends[lease.lease] = until_ns if lease.until_ns is None else min(lease.until_ns, until_ns)
        return ends

    async def run(self) -> None:
        """Sweep every `SWEEP_S`, and end a suggestion to the moment, until cancelled.

        Cancellation: at once. Cleanup: none is needed; leases outlive us, and the next run of the daemon ends them.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_suggestions)
            due = trio.current_time()
            while True:
                due += SWEEP_S
                await trio.sleep_until(due)
                await self.sweep()

    async def _end_suggestions(self) -> None:
        """End each camera that all pages show at its time, and not at the next sweep."""
        kernel, ends = self._kernel, dict[tuple[LeaseId, int], float]()
        while True:
            shown, now = kernel.state.suggestions, trio.current_time()
            ends = {
                key: ends.get(key, now + (key[1] - kernel.clock.wall_ns()) / 1e9)
                for key in ((each.lease, each.until_ns) for each in shown)
            }
            for key in [key for key, at in ends.items() if at <= now]:
                kernel.emit(c.EndLease(key[0], TIME_IS_UP), after=self._granted(key[0]))
                ends[key] = math.inf  # once, whatever comes of it
            with trio.move_on_at(min(ends.values(), default=math.inf)):
                while kernel.state.suggestions == shown:
                    await kernel.wait_change(kernel.state.seq)

    async def sweep(self) -> None:
        """Report every lease whose holder has been silent for too long, or whose time is up."""
        silent = self.look()
        for number, (lease, silence_s) in enumerate(silent):
            if number % AT_ONCE == AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            self._kernel.emit(c.ReportLeaseSilent(lease, silence_s), after=self._granted(lease))

    def look(self) -> list[tuple[LeaseId, float]]:
        """The leases that are due, in order, with the seconds of their silence; the table is brought up to date."""
        now_ns, wall_ns = self._kernel.clock.mono_ns(), self._kernel.clock.wall_ns()
        heard, leases, due = self._heard, self._kernel.state.leases, []
        if len(heard) != len(leases):  # walking through a persistent map takes a microsecond for each
            self._heard = heard = {name: heard.get(name, now_ns) for name in leases}
        horizon_ns = now_ns - int(SWEEP_S * 1e9)  # no lease ends by a shorter silence; who renews is looked at then
        for name in [name for name, at_ns in heard.items() if at_ns <= horizon_ns]:
            lease, silence_s = leases.get(name), (now_ns - heard[name]) / 1e9
            if lease is None:
                del heard[name]  # another has come in its place: the next sweep finds it
            elif (lease.ttl_s and silence_s >= lease.ttl_s) or (
                lease.until_ns is not None and wall_ns >= lease.until_ns
            ):
                due.append((name, silence_s))
        return sorted(due)

    def _say_refused(self, command: c.GrantLease | c.OpenPeer, why: Rejected) -> None:
        """A lease on an existing camera was refused: journaled, once in `REFUSALS_EVERY_S`, and counted."""
        if why.refusal in (Refusal.UNKNOWN, Refusal.RATE_LIMITED) or command.camera not in self._kernel.state.cameras:
            return
        if trio.current_time() - self._said_at < REFUSALS_EVERY_S:
            self._suppressed += 1
            return
        kind = command.kind if isinstance(command, c.GrantLease) else LeaseKind.VIEWER
        reason = Reason("not-lent", why.reason, Fault.NONE)
        report = c.ReportRefusal(command.camera, kind, command.client, reason, self._suppressed)
        self._kernel.emit(report, origin=origin_of(command.client))
        self._said_at, self._suppressed = trio.current_time(), 0

    def _granted(self, lease: LeaseId) -> Recorded | None:
        """The event that began a lease: it outlives its request, and a renewal or silence is no event."""
        return self._kernel.latest(lease_stream(lease))
