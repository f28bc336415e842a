"""The addresses of ours that STUN servers see, for viewers on the other side of a NAT.

Rules of this file:
- An answer is never delayed by more than `BUDGET_S`, whatever the servers and the resolver do. An address that was not
  found by then is left out of this answer; a name that is resolved later is there for the next viewers.
- A name gets half of that time, so that there is time to ask a server whose name was resolved before.
- A name that is not resolved, or may have no thread, costs its candidate and nothing else.

An address that a server has seen belongs to one socket, so it is asked for again for each viewer.
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

    Cancellation: at once. Cleanup: no request is under way; a thread may still wait for the system's resolver.
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
        await aio_as_trio(_ask_all)(ice._connection, addresses, left_s)


async def _resolve(host: str, port: int, addresses: set[Address]) -> None:
    """Add the first IPv4 address of `host`."""
    try:
        found = await RESOLVER.resolve(host, BUDGET_S / 2)
    except (OSError, UnicodeError):
        return  # no such name, not in time, or no thread: the candidates of the host itself may do
    ours = [str(address[0]) for family, _, _, _, address in found if family == socket.AF_INET]
    if ours:
        addresses.add((ours[0], port))


async def _ask_all(connection: Connection, servers: set[Address], within_s: float) -> None:
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
    """The candidate that one server sees of one socket; None when it says nothing, or sees no NAT."""
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
    """Host and port of `stun:HOST[:PORT]`; None for other URLs, `stuns:` among them."""
    match = _URL.fullmatch(url)
    return (match[1], int(match[2] or DEFAULT_PORT)) if match and int(match[2] or DEFAULT_PORT) <= 65535 else None
