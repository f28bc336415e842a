"""Name resolution: a resolver that hangs delays only callers that need a name."""

import math
import socket
import threading
from collections.abc import Iterator

import pytest
import trio

from actors.addresses import LOOKUP_S, Found, NameNotResolved, Resolver, numeric_addresses, open_stream
from actors.sources.rtsp.reasons import unreachable
from tests.kit.processes import wait_bounded, wait_until

ADDRESS: Found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class Resolved(Resolver):
    """Knows the addresses of every name. Without a thread: the clock would jump while it looks a name up."""

    def __init__(self, found: Found) -> None:
        super().__init__(lambda _: found)
        self.found = found

    async def resolve(self, host: str, within_s: float = LOOKUP_S) -> Found:
        return self.found


class Names:
    """A resolver that hangs for names with `hung`, until it is released, and denies those with `unknown`.

    Names that begin with `once` are resolved by the first lookup, whatever follows.
    """

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def look_up(self, name: str) -> Found:
        first = name not in self.asked
        self.asked.append(name)
        if name.startswith("once") and first:
            return ADDRESS
        if "hung" in name:
            self.let_go.wait(60)
        if "unknown" in name:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ADDRESS


@pytest.fixture
def names() -> Iterator[Names]:
    found = Names()
    yield found
    found.let_go.set()


@pytest.mark.parametrize(
    ("host", "family", "address"),
    [
        ("192.0.2.1", socket.AF_INET, "192.0.2.1"),
        ("::1", socket.AF_INET6, "::1"),
        ("2001:db8::1", socket.AF_INET6, "2001:db8::1"),
        ("fe80::1%lo", socket.AF_INET6, "fe80::1"),
        ("::ffff:192.0.2.1", socket.AF_INET6, "::ffff:192.0.2.1"),
    ],
)
async def test_numeric_address_uses_no_thread(names: Names, host: str, family: int, address: str) -> None:
    """IPv4 and IPv6, with a zone or without."""
    resolver = Resolver(names.look_up, threads=0)
    (found,) = await resolver.resolve(host)
    assert (found[0], found[4][0]) == (family, address)
    assert found[4][3:] == ((socket.if_nametoindex("lo"),) if "%" in host else (0,) * (":" in host))
    assert names.asked == []


@pytest.mark.parametrize("name", ["camera.local", "", "1.2.3.4.5", "fe80::1%nowhere", "a" * 300, "[::1]"])
def test_name_is_no_numeric_address(name: str) -> None:
    """This includes names that look like an address."""
    assert name == "" or numeric_addresses(name) == []


async def test_numeric_camera_connects_while_every_lookup_hangs(names: Names) -> None:
    """Eight cameras have names, one has an address."""
    resolver = Resolver(names.look_up, threads=4)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(open_stream, f"hung-{number}", port, resolver)
        await wait_until(lambda: len(names.asked) == 4, what="all threads hang")
        with trio.fail_after(LOOKUP_S / 2):
            stream = await open_stream("127.0.0.1", port, resolver)
        await stream.aclose()
        nursery.cancel_scope.cancel(reason="enough")
    for listener in listeners:
        await listener.aclose()


@pytest.mark.parametrize(("addresses", "within_s", "took_s"), [(1, 60, 60), (2, 60, 60), (4, 10, 10), (2, 8, 8)])
async def test_last_address_gets_the_rest_of_the_time_limit(
    addresses: int, within_s: float, took_s: float, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address gets an equal share; without a time limit of the caller each gets 5 s."""

    class Deaf:
        async def connect(self, address: object) -> None:
            await trio.sleep_forever()

        def close(self) -> None:
            pass

    monkeypatch.setattr(trio.socket, "socket", lambda *_: Deaf())
    resolver = Resolved(ADDRESS * addresses)

    async def open_it() -> None:
        with pytest.raises(OSError, match="in time"):
            await open_stream("192.0.2.1" if addresses == 1 else "deaf", 1, resolver)

    with trio.move_on_after(within_s):
        await open_it()
    assert trio.current_time() == pytest.approx(took_s, abs=LOOKUP_S)
    began = trio.current_time()
    await open_it()
    assert trio.current_time() - began == pytest.approx(5 * addresses, abs=LOOKUP_S)


async def test_every_address_of_a_name_is_tried_within_a_short_limit(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 5 s for three addresses that do not answer, none of them gets all of the time."""
    tried: list[object] = []

    class Deaf:
        async def connect(self, address: object) -> None:
            tried.append(address)
            await trio.sleep_forever()

        def close(self) -> None:
            pass

    monkeypatch.setattr(trio.socket, "socket", lambda *_: Deaf())
    with trio.move_on_after(5):
        with pytest.raises(OSError, match="in time"):
            await open_stream("deaf", 1, Resolved(ADDRESS * 3))
    assert len(tried) == 3


async def test_name_is_asked_for_by_one_thread_however_often(names: Names) -> None:
    """Repeated attempts of one camera share one hung lookup, and leave the other threads to other names."""
    resolver = Resolver(names.look_up, threads=2)
    for _ in range(5):
        with trio.move_on_after(0.02):
            await resolver.resolve("hung-1")
    assert names.asked == ["hung-1"]
    with trio.fail_after(LOOKUP_S / 2):
        assert await resolver.resolve("camera") == ADDRESS


async def test_name_that_is_not_resolved_in_time_has_a_separate_reason(names: Names, autojump_clock: object) -> None:
    """The reason blames neither the connection nor the host."""
    with pytest.raises(NameNotResolved) as caught:
        await Resolver(names.look_up).resolve("hung-1")
    reason = unreachable(caught.value)
    assert (reason.code, reason.text) == ("name-timeout", "the name of this host is not resolved in time")


async def test_name_that_was_resolved_before_is_used_when_the_resolver_hangs(
    names: Names, autojump_clock: object
) -> None:
    """A DNS outage ends no camera that has been connected."""
    resolver = Resolver(names.look_up)
    await resolver.resolve("once, then hung", math.inf)
    assert await resolver.resolve("once, then hung") == ADDRESS


async def test_name_that_is_denied_is_an_error_although_it_was_resolved_before(names: Names) -> None:
    """A name that does not exist any more is an error, whatever it was before."""
    resolver = Resolver(names.look_up)
    assert await resolver.resolve("once, then unknown") == ADDRESS
    with pytest.raises(socket.gaierror):
        await resolver.resolve("once, then unknown")


async def test_lookup_that_ends_makes_room_for_the_next_name(names: Names) -> None:
    """A name that waits for a thread gets one as soon as it is free."""
    resolver = Resolver(names.look_up, threads=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(resolver.resolve, "hung-1")
        await wait_until(lambda: names.asked == ["hung-1"], what="the first lookup")
        nursery.start_soon(resolver.resolve, "camera")
        await trio.testing.wait_all_tasks_blocked()
        assert names.asked == ["hung-1"]
        names.let_go.set()
    assert names.asked == ["hung-1", "camera"]


async def test_two_lookups_that_end_make_room_for_two_names() -> None:
    """All callers for the first name share one thread, and the second name gets the other."""
    go = {name: threading.Event() for name in ("one", "two", "slow", "camera")}
    asked: list[str] = []

    def look_up(name: str) -> Found:
        asked.append(name)
        go[name].wait(60)
        return ADDRESS

    resolver = Resolver(look_up, threads=2)
    go["camera"].set()
    try:
        async with trio.open_nursery() as nursery:
            for name in ("one", "two"):
                nursery.start_soon(resolver.resolve, name)
            await wait_until(lambda: len(asked) == 2, what="both threads at work")
            for name in ("slow", "slow", "slow", "camera"):
                nursery.start_soon(resolver.resolve, name)
                await trio.testing.wait_all_tasks_blocked()
            go["one"].set()
            go["two"].set()
            await wait_bounded(lambda: "camera" in asked, LOOKUP_S / 2, what="the second name")
            go["slow"].set()
    finally:
        for event in go.values():
            event.set()
    assert sorted(asked) == ["camera", "one", "slow", "two"]
