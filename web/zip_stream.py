"""A zip file that is made while it is sent: nothing is compressed, and nothing is kept.

Rules of this file:
- Members are stored as they come, with their checksums behind them: no size need be known before.
- The last member is `SHA256SUMS`, which `sha256sum -c` reads.
"""

import hashlib
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs
import trio

from supervisor.base.threads import run_in_thread

SUMS = "SHA256SUMS"


class _Sink:
    """A file that can only be written. zipfile asks it for no position."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        """The bytes that were written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


@attrs.frozen
class Member:
    """A file of the zip."""

    name: str
    chunks: AsyncGenerator[bytes, None]


async def zip_stream(
    members: AsyncIterator[Member], made_ns: int, limiter: trio.CapacityLimiter
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a zip file. `made_ns`: the time of its members; `limiter`: for the threads of checksums.

    Cancellation: at any time. Raises the errors of the members.
    """
    made = datetime.fromtimestamp(made_ns / 1e9, UTC).timetuple()[:6]
    sink, sums = _Sink(), list[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]

        def info(name: str) -> zipfile.ZipInfo:
            found = zipfile.ZipInfo(name, max(made, (1980, 1, 1, 0, 0, 0)))
            found.external_attr = 0o644 << 16
            return found

        async for member in members:
            digest = hashlib.sha256()
            with archive.open(info(member.name), "w", force_zip64=True) as entry:
                async with aclosing(member.chunks):
                    async for data in member.chunks:
                        await run_in_thread(partial(_write, entry, digest, data), limiter=limiter)
                        yield sink.take()
            sums.append(f"{digest.hexdigest()}  {member.name}\n")
        archive.writestr(info(SUMS), "".join(sums))
        yield sink.take()
    yield sink.take()


def _write(entry: Any, digest: Any, data: bytes) -> None:
    digest.update(data)
    entry.write(data)
