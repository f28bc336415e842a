"""Pins: stretches of time whose events and footage are kept until somebody releases them.

Rules of this file:
- The event is durable before the answer. Then the footage is measured again: the answer says what is kept for certain.
- One pin is made at a time: two that fit one by one may be too much together.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio
from msgspec.structs import replace

from ..domain import commands as c
from ..domain.access import Principal, rights_of
from ..domain.errors import Refusal, Rejected
from ..domain.ids import CameraId
from ..domain.lifecycle import RecordingPhase
from ..domain.pin import require_budget, require_pinnable, seen_of, visible_to
from ..domain.scoped import visible_in
from ..domain.state import State, StretchPin
from ..ports.archives import ArchivesPort, CameraTime
from ..ports.decisions import Origin, Receipt
from ..ports.pins import MadePin
from ..runtime.kernel import Kernel

MOST_NAMED = 20
"""Pins that are measured one by one, for a refusal that names the largest."""
Submit = Callable[[c.Command, Origin], Awaitable[Receipt]]


class Pins:
    """Made once by the gateway. `submit` decides, and waits until it is durable."""

    def __init__(self, kernel: Kernel, archives: ArchivesPort, submit: Submit) -> None:
        self._kernel, self._archives, self._submit = kernel, archives, submit
        self._making = trio.Lock()

    async def make(
        self,
        name: str,
        from_ns: int,
        to_ns: int | None,
        cameras: Sequence[CameraId],
        note: str,
        origin: Origin,
    ) -> MadePin:
        """Pin a stretch. `to_ns`: None for now. `cameras`: none for all of the scope. Raises `Rejected`."""
        now_ns = self._kernel.clock.wall_ns()
        who = rights_of(self._kernel.state, origin.principal, now_ns)
        chosen = tuple(dict.fromkeys(cameras)) or tuple(sorted(_all_of(self._kernel.state, who)))
        wanted = c.PinStretch(name, from_ns, now_ns if to_ns is None else to_ns, chosen, 0, note, origin.principal)
        require_pinnable(self._kernel.state, wanted, now_ns)
        async with self._making:
            is_all = not cameras and who.scope.everything
            found = await self._footage_of(wanted, of_all=is_all)
            if cameras:
                self._require_footage(wanted, found)
            wanted = replace(wanted, cameras=tuple(sorted({*chosen, *found})), bytes=sum(found.values()))
            await self._require_budget(wanted, who)
            await self._submit(wanted, origin)
            kept = await self._footage_of(wanted)
        known = self._kernel.state.pins.get(name)
        if known is None:
            raise Rejected(Refusal.CONFLICT, f"pin {name} was released meanwhile")
        return MadePin(known, sum(kept.values()))

    async def release(self, name: str, origin: Origin) -> None:
        """Release a pin. Raises `Rejected`."""
        await self._submit(c.ReleaseStretch(name, origin.principal), origin)

    def seen(self, who: Principal) -> list[StretchPin]:
        """The pins as somebody may see them, the newest first."""
        state = self._kernel.state
        visible = visible_to(state, who)
        seen = [one for pin in state.pins.values() if (one := seen_of(pin, visible)) is not None]
        return sorted(seen, key=lambda pin: (-pin.made_ns, pin.pin))

    async def _footage_of(self, pin: c.PinStretch, *, of_all: bool = False) -> dict[CameraId, int]:
        times = [CameraTime(camera, pin.from_ns, pin.to_ns) for camera in pin.cameras]
        found = await self._archives.footage_bytes(times, of_all=(pin.from_ns, pin.to_ns) if of_all else None)
        merged = dict[CameraId, int]()
        for sizes in found.values():
            for camera, size in sizes.items():
                merged[camera] = merged.get(camera, 0) + size
        return merged

    def _require_footage(self, pin: c.PinStretch, found: dict[CameraId, int]) -> None:
        """Raise `Rejected` for a camera that was named and has no footage, also none in a file that still grows."""
        recordings = self._kernel.state.recordings
        growing = {
            name
            for name, each in recordings.items()
            if each.phase is RecordingPhase.RECORDING and each.since_ns < pin.to_ns
        }
        missing = [camera for camera in pin.cameras if not found.get(camera) and camera not in growing]
        if missing:
            names = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
            text = f"there is no footage of {names} in that time, and nothing was pinned"
            raise Rejected(Refusal.CONFLICT, f"{text}; without a camera, the events alone can be pinned")

    async def _require_budget(self, pin: c.PinStretch, who: Principal) -> None:
        """Raise `Rejected` if pins would hold too much of an archive. Pins outside the scope are not named."""
        pins = list(self._kernel.state.pins.values())
        before = _times(pins)
        held = await self._archives.footage_bytes(before)
        added = [CameraTime(camera, pin.from_ns, pin.to_ns) for camera in pin.cameras]
        after = await self._archives.footage_bytes([*before, *added])
        for room in self._archives.archive_rooms():
            now, then = (sum(each.get(room.archive, {}).values()) for each in (held, after))
            try:
                require_budget(room.archive, then - now, now, room.budget_bytes, {})
            except Rejected:
                seen = self.seen(who)[:MOST_NAMED]
                holders = {each.pin: await self._bytes_in(room.archive, each) for each in seen}
                require_budget(room.archive, then - now, now, room.budget_bytes, holders)

    async def _bytes_in(self, archive: str, pin: StretchPin) -> int:
        found = await self._archives.footage_bytes(_times([pin]))
        return sum(found.get(archive, {}).values())


def _times(pins: Sequence[StretchPin]) -> list[CameraTime]:
    return [CameraTime(camera, pin.from_ns, pin.to_ns) for pin in pins for camera in pin.cameras]


def _all_of(state: State, who: Principal) -> frozenset[CameraId]:
    """The configured cameras of a scope."""
    return frozenset(state.cameras) if who.scope.everything else visible_in(state, who.scope)
