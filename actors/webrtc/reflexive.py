"""Finds this machine's addresses as STUN servers see them, for viewers on the other side of a NAT.

Rules of this file:
- An answer is never delayed by more than `BUDGET_S`, whatever servers and resolver do. An address that is found later
  is missing in this answer. A name that is resolved later serves the next viewers.
- A name may use half of that time. The rest is for requests to servers whose names are already resolved.
- A name that is not resolved, or gets no thread, costs only its candidate.

The address that a server sees belongs to one socket, so each peer asks again.
Source: RFC 8445, section 5.1.1.2 (server-reflexive candidates).
"""

import asyncio
import re
import socket

import trio
from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol
from aiortc import RTCIceTransport
from trio_asyncio import aio_as_trio

from ..addresses import RESOLVER
from .path import Address, Path

BUDGET_S = 0.04
MAX_SERVERS = 4
DEFAULT_PORT = 3478
_URL = re.compile(r"stun:([^:\s/?]+)(?::([0-9]{1,5}))?")


async def gather_reflexive(ice: RTCIceTransport, path: Path, servers: tuple[str, ...]) -> None:
    """Add a server-reflexive candidate for each IPv4 socket of `ice` that a server answers in time.

    Args:
        servers: URLs like `stun:HOST:PORT`; the first `MAX_SERVERS` are asked, all at once.

    Cancellation: at once. Cleanup: all requests have ended; a thread may still wait for the system's resolver.
    """
    if not servers:
        return
    until = trio.current_time() + BUDGET_S
    addresses = set[Address]()
    async with trio.open_nursery() as nursery:
        for host, port in [server for url in servers if (server := _parse(url))][:MAX_SERVERS]:
            nursery.start_soon(_resolve, host, port, addresses)
    path.servers.update(addresses)
    left_s = until - trio.current_time()
    if addresses and left_s > 0:
        await aio_as_trio(ask_all)(ice._connection, addresses, left_s)


async def _resolve(host: str, port: int, addresses: set[Address]) -> None:
    """Add the first IPv4 address of `host`."""
    try:
        found = await RESOLVER.resolve(host, BUDGET_S / 2)
    except (OSError, UnicodeError):
        return  # no such name, no answer in time, or no thread: the host candidates may suffice
    ours = [str(address[0]) for family, _, _, _, address in found if family == socket.AF_INET]
    if ours:
        addresses.add((ours[0], port))


async def ask_all(connection: Connection, servers: set[Address], within_s: float) -> None:
    """Ask all servers from all IPv4 sockets at once. Answers within that time become local candidates.

    Runs in asyncio. Cancellation: at once. Cleanup: all requests have ended.
    """
    protocols = [p for p in connection._protocols if ":" not in p.local_candidate.host]
    tasks = [asyncio.create_task(_ask(protocol, server)) for protocol in protocols for server in servers]
    if not tasks:
        return
    try:
        done, _ = await asyncio.wait(tasks, timeout=within_s)
    finally:
        for task in tasks:
            task.cancel()
    found = {(c.host, c.port): c for task in done if not task.cancelled() and (c := task.result()) is not None}
    connection._local_candidates += found.values()


async def _ask(protocol: StunProtocol, server: Address) -> Candidate | None:
    """Return the candidate that one server sees of one socket; None without an answer or without a NAT."""
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    try:
        answer, _ = await protocol.request(request, server)
    except stun.TransactionError:
        return None
    host, port = answer.attributes.get("XOR-MAPPED-ADDRESS", (None, 0))
    base = protocol.local_candidate
    if host is None or host == base.host or ":" in host:
        return None
    return Candidate(
        foundation=candidate_foundation("srflx", "udp", base.host),
        component=base.component,
        transport=base.transport,
        priority=candidate_priority(base.component, "srflx"),
        host=host,
        port=port,
        type="srflx",
        related_address=base.host,
        related_port=base.port,
    )


def _parse(url: str) -> tuple[str, int] | None:
    """Return host and UDP port of `stun:HOST[:PORT]`; None for other URLs, including `stuns:`."""
    match = _URL.fullmatch(url)
    return (match[1], int(match[2] or DEFAULT_PORT)) if match and int(match[2] or DEFAULT_PORT) <= 65535 else None
