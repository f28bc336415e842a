"""A viewer's addresses: each has to be validated before it counts, and all that a viewer can add is bounded.

These tests fail when a new release of aioice changes internals that `actors/webrtc/path.py` uses.
"""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio
import trio_asyncio
from aioice import Candidate, stun
from aioice.ice import StunProtocol
from aiortc import RTCIceGatherer, RTCIceParameters, RTCIceTransport
from aiortc.sdp import candidate_from_sdp
from trio_asyncio import aio_as_trio

from actors.webrtc.endpoint import Endpoints
from actors.webrtc.pacing import HOST, Pacer
from actors.webrtc.path import MAX_ADDRESSES, MAX_WAITING, Path
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until

PWD = "0123456789abcdef012345"


@attrs.define
class Agent:
    """Our end of one viewer's ICE, and how often the viewer was heard."""

    ice: RTCIceTransport
    path: Path
    endpoints: Endpoints
    heard: int = 0

    @property
    def address(self) -> tuple[str, int]:
        address: tuple[str, int] = self.endpoints.opened[0].get_extra_info("sockname")
        return address[:2]

    def check(self, far: socket.socket, pwd: str | None = None, *, nominate: bool = False) -> None:
        """Send a viewer's check from `far`."""
        far.sendto(self.check_data(pwd, nominate=nominate), self.address)

    def check_data(self, pwd: str | None = None, *, nominate: bool = False) -> bytes:
        """Return a viewer's check."""
        connection = self.ice._connection
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{connection.local_username}:them"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((pwd or connection.local_password).encode())
        return bytes(message)


@asynccontextmanager
async def open_agent(*candidates: str) -> AsyncIterator[Agent]:
    """Start ICE on one address of this machine, with a viewer that named these candidates."""
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)
        ice = RTCIceTransport(RTCIceGatherer([]))
        ice._connection._use_ipv6 = False
        agent: Agent

        def hear() -> None:
            agent.heard += 1

        endpoints.path = path = Path(ice, hear, Pacer(trio.current_time))
        path.released = endpoints.release
        agent = Agent(ice, path, endpoints)
        await aio_as_trio(ice.iceGatherer.gather)()
        for line in candidates:
            await aio_as_trio(ice.addRemoteCandidate)(candidate_from_sdp(line))
        nursery.start_soon(aio_as_trio(ice.start), RTCIceParameters("them", PWD))
        await wait_until(lambda: ice._connection._early_checks_done, what="ICE to begin")
        yield agent
        await aio_as_trio(ice.stop)()
        endpoints.close()
        nursery.cancel_scope.cancel()


async def answer_checks(far: socket.socket, until: Callable[[], bool]) -> None:
    """Fake a viewer that answers each check that arrives at `far`."""
    far.setblocking(False)
    while not until():
        with trio.move_on_after(0.05):
            await trio.lowlevel.wait_readable(far)
        try:
            data, source = far.recvfrom(2000)
        except BlockingIOError:
            continue
        message = stun.parse_message(data)
        if message.message_class == stun.Class.REQUEST:
            far.sendto(answer_to(message, source), source)


def answer_to(check: stun.Message, source: tuple[str, int]) -> bytes:
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=check.transaction_id)
    answer.attributes["XOR-MAPPED-ADDRESS"] = source
    answer.add_message_integrity(PWD.encode())
    return bytes(answer)


def open_far(agent: Agent) -> socket.socket:
    far = socket.socket(type=socket.SOCK_DGRAM)
    far.bind((agent.address[0], 0))
    return far


async def test_a_check_with_a_wrong_password_proves_nothing() -> None:
    """It is answered with an error, and its address remains unknown."""
    async with open_agent() as agent:
        with open_far(agent) as stranger:
            agent.check(stranger, "wrong" * 5)
            await trio.lowlevel.wait_readable(stranger)
            assert stun.parse_message(stranger.recv(2000)).message_class == stun.Class.ERROR
            assert not agent.path.is_known(agent.endpoints.opened[0].protocol, stranger.getsockname())
            assert (agent.heard, agent.ice._connection.remote_candidates) == (0, [])


async def test_an_address_is_validated_by_its_answer_and_not_by_its_check() -> None:
    """A check can be sent with a forged source; an answer to our check cannot."""
    async with open_agent() as agent:
        with open_far(agent) as far:
            protocol, address = agent.endpoints.opened[0].protocol, far.getsockname()
            agent.check(far, nominate=True)
            await wait_until(lambda: agent.heard == 1, what="the check")
            assert agent.path.is_known(protocol, address)
            assert not agent.path.is_validated(protocol, address)
            await answer_checks(far, lambda: agent.path.is_validated(protocol, address))
            assert agent.heard == 2


async def test_another_transport_of_the_viewer_is_no_path_of_this_one() -> None:
    """Its checks are valid and nominate; media would go to an address where nothing can decrypt it."""
    async with open_agent() as agent:
        with open_far(agent) as other, open_far(agent) as far:
            agent.path.strangers = frozenset({other.getsockname()})
            agent.check(other, nominate=True)
            agent.check(far, nominate=True)
            await wait_until(lambda: agent.heard == 2, what="both checks")
            found = [(each.host, each.port) for each in agent.ice._connection.remote_candidates]
            assert found == [far.getsockname()]


async def test_a_viewer_whose_address_changes_is_followed_after_a_valid_check() -> None:
    """This includes an address that it had named before, whose first check was cancelled by another nomination."""
    with socket.socket(type=socket.SOCK_DGRAM) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
        async with open_agent() as agent:
            protocol = agent.endpoints.opened[0].protocol
            for far in (first, second):
                far.bind((agent.address[0], 0))
            host, port = second.getsockname()
            named = candidate_from_sdp(f"2 1 udp 1 {host} {port} typ host")
            await aio_as_trio(agent.ice.addRemoteCandidate)(named)
            await wait_until(lambda: len(agent.ice._connection._check_list) == 1, what="the pair")
            await wait_until(lambda: agent.ice._connection._check_list[0].task is not None, what="its check")
            for far in (first, second):
                agent.check(far, nominate=True)
                address = far.getsockname()

                def is_nominated(address: tuple[str, int] = address) -> bool:
                    pair = agent.ice._connection._nominated.get(1)
                    return pair is not None and pair.remote_addr == address

                await answer_checks(far, is_nominated)
                assert agent.path.is_validated(protocol, address)


async def test_address_that_was_nominated_beside_the_first_is_checked_after_all() -> None:
    """aioice cancels its check when the first pair is complete; a viewer that nominates all uses the last one."""
    async with open_agent() as agent:
        with open_far(agent) as first, open_far(agent) as last:
            protocol, address = agent.endpoints.opened[0].protocol, last.getsockname()
            agent.check(last, nominate=True)
            await wait_until(lambda: len(agent.ice._connection._check_list) == 1, what="the pair")
            await prove(agent, first, nominate=True)
            await wait_until(lambda: agent.ice.state == "completed", what="the end of the checks")
            await aio_as_trio(agent.path.resume_checks)()
            await answer_checks(last, lambda: agent.path.is_validated(protocol, address))
            await wait_until(lambda: route_of(agent) == address, what="the nomination")


async def test_nomination_in_the_same_batch_as_the_first_answer_counts() -> None:
    """The first pair completes before the check of the other one has begun."""
    async with open_agent() as agent:
        with open_far(agent) as first, open_far(agent) as last:
            endpoint, address = agent.endpoints.opened[0], last.getsockname()
            agent.check(first, nominate=True)
            request = None
            while request is None:
                await trio.lowlevel.wait_readable(first)
                message = stun.parse_message(first.recv(2000))
                request = message if message.message_class == stun.Class.REQUEST else None
            endpoint.take(answer_to(request, agent.address), first.getsockname())
            endpoint.take(agent.check_data(nominate=True), address)
            await wait_until(lambda: agent.ice.state == "completed", what="the end of the checks")
            await aio_as_trio(agent.path.resume_checks)()
            with give_up_after(10):
                await answer_checks(last, lambda: agent.path.is_validated(endpoint.protocol, address))
            await wait_until(lambda: route_of(agent) == address, what="the nomination")


def route_of(agent: Agent) -> tuple[str, int] | None:
    """Return the address to which media is sent."""
    pair = agent.ice._connection._nominated.get(1)
    return None if pair is None else pair.remote_addr


async def prove(agent: Agent, far: socket.socket, *, nominate: bool) -> tuple[str, int]:
    """Send a viewer's check from `far`, nominating or not, and answer our check; returns its address."""
    protocol = agent.endpoints.opened[0].protocol
    address: tuple[str, int] = far.getsockname()
    agent.check(far, nominate=nominate)
    await answer_checks(far, lambda: agent.path.is_validated(protocol, address))
    await wait_until(lambda: not nominate or route_of(agent) == address, what="the nomination")
    return address


async def test_handshake_goes_on_where_the_viewers_dtls_comes_from() -> None:
    """The address nominated last may belong to another transport of the viewer; nothing answers DTLS there."""
    async with open_agent() as agent:
        with open_far(agent) as first, open_far(agent) as second:
            ours, other = [await prove(agent, far, nominate=True) for far in (first, second)]
            assert route_of(agent) == other
            await aio_as_trio(agent.ice._send)(b"\x16 hello")
            assert [dtls_at(far) for far in (first, second)] == [1, 1], "each may be the one"
            agent.endpoints.opened[0].take(b"\x16 hello, you", ours)
            assert route_of(agent) == ours
            await aio_as_trio(agent.ice._send)(b"\x16 well")
            assert [dtls_at(far) for far in (first, second)] == [1, 0]
            agent.path.complete()
            agent.endpoints.opened[0].take(b"\x15 an alert", other)
            assert route_of(agent) == ours, "DTLS was proved here, and a datagram of its kind proves nothing"


def dtls_at(far: socket.socket) -> int:
    """Return how many DTLS datagrams wait at `far`, and read them all."""
    count = 0
    while True:
        try:
            count += far.recv(2000)[0] >= 20
        except BlockingIOError:
            return count


async def test_route_changes_by_a_check_that_nominates_and_by_no_other() -> None:
    """A valid check from another address, and its answer to ours, make it a candidate and not the route."""
    async with open_agent() as agent:
        with open_far(agent) as first, open_far(agent) as second:
            ours = await prove(agent, first, nominate=True)
            agent.path.complete()
            other = await prove(agent, second, nominate=False)
            assert route_of(agent) == ours
            agent.check(second, "wrong" * 5, nominate=True)
            agent.check(second)
            heard = agent.heard
            await wait_until(lambda: agent.heard > heard, what="the check behind the wrong one")
            assert route_of(agent) == ours
            agent.check(second, nominate=True)
            await wait_until(lambda: route_of(agent) == other, what="the nomination")


async def test_route_follows_rtcp_to_a_validated_address_only() -> None:
    """An address that was named, or that sent a check, has not answered: its source may be forged."""
    async with open_agent("1 1 udp 1 192.0.2.7 5000 typ host") as agent:
        with open_far(agent) as first, open_far(agent) as second, open_far(agent) as third:
            protocol = agent.endpoints.opened[0].protocol
            ours, other = await prove(agent, first, nominate=True), await prove(agent, second, nominate=False)
            agent.path.complete()
            heard = agent.heard
            agent.check(third)
            await wait_until(lambda: agent.heard > heard, what="the check")
            for address in (("192.0.2.7", 5000), third.getsockname(), ("192.0.2.8", 1), ours):
                assert not agent.path.take_rtcp(protocol, address)
                assert route_of(agent) == ours
            assert agent.path.take_rtcp(protocol, other)
            assert route_of(agent) == other


async def test_a_viewer_can_be_at_64_addresses_and_no_more() -> None:
    """Each address makes a pair, and checks of it."""
    async with open_agent() as agent:
        for number in range(MAX_ADDRESSES + 20):
            with open_far(agent) as far:
                agent.check(far)
            await wait_until(lambda number=number: agent.heard == number + 1, what="the check")  # type: ignore[misc]
        assert len(agent.ice._connection.remote_candidates) == MAX_ADDRESSES
        assert len(agent.path._authenticated) == MAX_ADDRESSES


async def test_datagrams_that_wait_for_dtls_are_bounded_and_malformed_stun_is_dropped() -> None:
    """aioice's own queue is unbounded, and accepts malformed STUN as data."""
    async with open_agent() as agent:
        connection = agent.ice._connection
        for _ in range(3 * MAX_WAITING):
            connection.data_received(b"\x16\xfe\xfd", 1)
        assert connection._queue.qsize() == MAX_WAITING
        for endpoint in agent.endpoints.opened:
            endpoint.take(b"\x00\x01\xff\xff\x21\x12\xa4\x42 too short", ("192.0.2.1", 9))
        while connection._queue.qsize():
            assert connection._queue.get_nowait() == (b"\x16\xfe\xfd", 1)


async def test_checks_to_a_host_that_proves_nothing_are_few() -> None:
    """This holds for any number of its ports, and any number of repetitions."""
    async with open_agent() as agent:
        with open_far(agent) as far:
            host, sent = far.getsockname()[0], 0
            protocol = agent.endpoints.opened[0].protocol
            began = trio.current_time()
            for port in range(1, 500):
                sent += agent.path.may_check(protocol, (host, port))
            assert sent <= HOST[0] + HOST[1] * (trio.current_time() - began) + 1
            agent.check(far)
            await wait_until(lambda: agent.heard == 1, what="the check")
            assert agent.path.may_check(protocol, far.getsockname()), "a viewer that checks is answered at once"


async def test_candidates_of_the_viewer_are_known_and_not_validated() -> None:
    """DTLS that overtakes a check can then be held."""
    async with open_agent("1 1 udp 1 192.0.2.7 5000 typ host") as agent:
        protocol = agent.endpoints.opened[0].protocol
        assert isinstance(agent.ice._connection.remote_candidates[0], Candidate)
        assert agent.path.is_known(protocol, ("192.0.2.7", 5000))
        assert not agent.path.is_validated(protocol, ("192.0.2.7", 5000))
        assert not agent.path.is_known(protocol, ("192.0.2.7", 5001))


async def test_stun_of_a_stranger_is_known_by_its_first_look() -> None:
    """A check has our user fragment, an answer belongs to our request; everything else is not parsed."""
    async with open_agent() as agent:
        protocol = agent.endpoints.opened[0].protocol
        user = f"{agent.ice._connection.local_username}:them".encode()
        check = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
        assert agent.path.may_be_ours(protocol, check + user)
        assert not agent.path.may_be_ours(protocol, check)
        assert not agent.path.may_be_ours(protocol, check + b"else:them")
        for kind in (b"\x01\x01", b"\x01\x11", b"\x00\x11", b"\x00\x03"):
            assert not agent.path.may_be_ours(protocol, kind + check[2:] + user)
        assert isinstance(protocol, StunProtocol)
        protocol.transactions[bytes(12)] = None  # type: ignore[assignment]
        assert agent.path.may_be_ours(protocol, b"\x01\x01" + check[2:])
        del protocol.transactions[bytes(12)]
