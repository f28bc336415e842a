"""From a host to its address: a resolver that hangs delays nobody but those who ask for a name."""

import socket
import threading
from collections.abc import Iterator

import pytest
import trio

from actors.addresses import LOOKUP_S, Found, NameNotResolved, Resolver, numeric_addresses, open_stream
from actors.sources.rtsp.reasons import unreachable
from tests.kit.processes import wait_until

ADDRESS: Found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class Names:
    """A resolver that hangs for names that begin with `hung`, until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def look_up(self, name: str) -> Found:
        self.asked.append(name)
        if name.startswith("hung"):
            self.let_go.wait(60)
        if name.startswith("unknown"):
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
    """Of either version, with a zone or without."""
    resolver = Resolver(names.look_up, threads=0)
    (found,) = await resolver.resolve(host)
    assert (found[0], found[4][0]) == (family, address)
    assert found[4][3:] == ((socket.if_nametoindex("lo"),) if "%" in host else (0,) * (":" in host))
    assert names.asked == []


@pytest.mark.parametrize("name", ["camera.local", "", "1.2.3.4.5", "fe80::1%nowhere", "a" * 300, "[::1]"])
def test_name_is_no_numeric_address(name: str) -> None:
    """Nor is what looks like one."""
    assert name == "" or numeric_addresses(name) == []


async def test_numeric_camera_connects_while_every_lookup_hangs(names: Names) -> None:
    """Eight cameras with names, one with an address."""
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


async def test_name_is_asked_for_by_one_thread_however_often(names: Names) -> None:
    """A camera that is tried again and again has one hung lookup, and leaves the other threads to other names."""
    resolver = Resolver(names.look_up, threads=2)
    for _ in range(5):
        with trio.move_on_after(0.02):
            await resolver.resolve("hung-1")
    assert names.asked == ["hung-1"]
    with trio.fail_after(LOOKUP_S / 2):
        assert await resolver.resolve("camera") == ADDRESS


async def test_name_that_is_not_resolved_in_time_has_a_reason_of_its_own(names: Names, autojump_clock: object) -> None:
    """Neither the connection nor the host is blamed."""
    with pytest.raises(NameNotResolved) as caught:
        await Resolver(names.look_up).resolve("hung-1")
    reason = unreachable(caught.value)
    assert (reason.code, reason.text) == ("name-timeout", "the name of this host is not resolved in time")


async def test_name_that_was_resolved_before_is_used_when_the_resolver_hangs(
    names: Names, autojump_clock: object
) -> None:
    """A DNS outage ends no camera that has been connected."""
    resolver = Resolver(names.look_up)
    resolver._known["hung-1"] = ADDRESS
    assert await resolver.resolve("hung-1") == ADDRESS


async def test_lookup_that_answered_is_remembered_and_one_that_denies_is_not_overruled(names: Names) -> None:
    """A name that is gone is gone, whatever it was before."""
    resolver = Resolver(names.look_up)
    assert await resolver.resolve("camera") == ADDRESS
    assert resolver._known == {"camera": ADDRESS}
    resolver._known["unknown"] = ADDRESS
    with pytest.raises(socket.gaierror):
        await resolver.resolve("unknown")


async def test_lookup_that_ends_makes_room_for_the_next_name(names: Names) -> None:
    """A name that waits for a thread has it as soon as one is free."""
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
    """However many wait for the first of them: they need one thread together, and the second name has the other."""
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
            await wait_until(lambda: "camera" in asked, LOOKUP_S / 2, what="the second name")
            go["slow"].set()
    finally:
        for event in go.values():
            event.set()
    assert sorted(asked) == ["camera", "one", "slow", "two"]
