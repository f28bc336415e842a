"""The actor of one RTSP connection: the socket, the clock, and the shielded TEARDOWN."""

import os
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from supervisor.base.shield import bounded_shield
from supervisor.config.config import Source, Timeouts
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from ...cpu_share import CpuShare
from ...media.bitstream import BitstreamError
from ...media.hub import Hub
from ...media.media import SourceLoss
from ...media.oddities import Oddity
from ...process.child import NO_MEMORY
from ...tls import describe, fingerprint, is_old
from ...tools import Tools
from .address import Target, host_and_port, is_same_host, parse_target, redirected
from .encrypted import NeedsCipher, load_ciphers, make_cipher
from .memory import OptionalStep, SourceMemory, keep, keep_unanswered, recall
from .messages import ProtocolError
from .reasons import (
    ENDED,
    FULL,
    INVALID_REDIRECT,
    NO_ANSWER,
    NO_MULTICAST_BY_TLS,
    NO_PASSWORD,
    NO_SUCH_NAME,
    NO_TLS,
    ONLY_BASIC,
    TOO_MANY_REDIRECTS,
    Again,
    Ended,
    Moved,
    elsewhere,
    no_answer,
    not_rtsp,
    only_basic_at,
    too_slow,
    unreachable,
    wrong_certificate,
)
from .sdp import DescriptionError
from .session import RtspSession
from .transport import NOT_ACCEPTABLE, STEPS, TransportRefused, order, refusal
from .transport_header import Transport
from .tunnel import Tunnel, TunnelRefused, open_tunnel, ports
from .udp import Datagrams, open_datagrams

TEARDOWN_S = 1.0
"""Time limit for the response to TEARDOWN. Without it the camera may keep the session until its own timeout."""
AGAIN_S = 0.3
"""Delay before the next connection of an attempt: the camera needs it to free the last one."""
MAX_REDIRECTS = 5
RECEIVE = 64 * 1024
"""Bytes per read: usually a whole key frame, and never more than 1 ms of work."""


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    """Play a camera until its stream ends, and return the reason. Follows `MAX_REDIRECTS` redirects within its host.

    A redirect to another device is not followed: the camera's slot does not count at that device. A connection that
    shows how the next one may succeed is followed by that one at once. So is one whose transport the camera refuses.

    Cancellation: ends the session with TEARDOWN, within `TEARDOWN_S`. Cleanup: the same on every way out; the
    connection and the UDP ports are closed, which frees the connection at the camera.
    """
    target, learned, redirects = parse_target(source.address, source.auth == "digest"), recall(hub, source), 0
    is_known = target.credentials is not None
    played = tools.kernel.state.transports_of(camera)
    refusals: list[TransportRefused] = []
    while redirects <= MAX_REDIRECTS:
        if target.tls and source.transport == "multicast":
            return NO_MULTICAST_BY_TLS
        refused = [each.transport for each in refusals]
        is_in_doubt = OptionalStep.TCP in learned.doubtful
        in_order = order(source.transport, target.tls, played, is_in_doubt, learned.unanswered)
        left = [each for each in in_order if each not in refused]
        if not left:
            first = refusals[0]
            is_full = first.cause is not None and _is_full(first, camera, source, tools)
            return FULL if is_full else refusal(refused, first.cause)
        try:
            await play_once(target, left[0], played, source, learned, hub, tools)
        except TransportRefused as ended:
            refusals.append(ended)
            if ended.was_asked and len(left) > 1:
                step = STEPS[ended.transport]
                learned.leave_out(step, ended.is_doubtful(played) and step not in learned.doubtful)
            await trio.sleep(AGAIN_S)
        except NeedsCipher:
            if (reason := await load_ciphers()) is not None:
                return reason
            await trio.sleep(AGAIN_S)
        except Again:
            await trio.sleep(AGAIN_S)  # at most once for each thing that can be learned
        except Ended as ended:
            if ended.reason is NO_PASSWORD and is_known:  # a redirect to another port has removed it
                return elsewhere(target.url, source.secrets)
            if ended.reason is ONLY_BASIC and source.auth != "digest":  # the address has another port than the tunnel
                return only_basic_at(ports(target)[-1])
            return FULL if _is_full(ended, camera, source, tools) else ended.reason
        except OSError as error:  # from the system: no port, no descriptor
            return unreachable(error)
        except MemoryError:
            return NO_MEMORY
        except Moved as moved:
            redirects += 1
            try:
                there = redirected(target, moved.location, moved.peer)
            except ValueError:
                return INVALID_REDIRECT
            if not is_same_host(there, target) or _is_of_another_device(there, source, tools):
                return elsewhere(there.url, source.secrets)
            target = there
    return TOO_MANY_REDIRECTS


def _is_full(ended: Ended, camera: CameraId, source: Source, tools: Tools) -> bool:
    """Whether an end means that the device serves no further connection.

    Devices tell it in many ways: they end the connection at SETUP or PLAY while others have theirs, or they refuse a
    transport that they have.
    """
    if ended.at in ("SETUP", "PLAY"):
        return bool(_others(camera, source, tools))
    return ended.status == NOT_ACCEPTABLE


def _others(camera: CameraId, source: Source, tools: Tools) -> list[CameraId]:
    """Return the other cameras with a connection to the same device."""
    if source.device is None:
        return []
    return [slot.camera for slot in tools.kernel.state.slots_of(source.device, held=True) if slot.camera != camera]


def _is_of_another_device(there: Target, source: Source, tools: Tools) -> bool:
    """Whether another device is configured at this host and port: several may share a host.

    Compares both the configured host and the host in the redirect.
    """
    places = {(there.host, there.port), host_and_port(there.url)}
    known = [each for each in tools.sources.all() if each.kind in ("rtsp", "go2rtc")]
    devices = {each.device for each in known if host_and_port(each.address) in places}
    return bool(devices) and source.device not in devices


async def play_once(
    target: Target,
    over: Transport,
    played: Sequence[str],
    source: Source,
    learned: SourceMemory,
    hub: Hub,
    tools: Tools,
) -> None:
    """Run one connection. Never returns; raises `Ended`, `Moved`, or `Again` if `learned` has become more."""
    before = attrs.evolve(learned)
    hub.negotiate()
    stream = await _connect(target, over, source, hub.loss, tools)
    async with stream, open_datagrams(stream, over, hub.loss) as datagrams:
        hub.is_connected = True
        hub.facts.note(**_tls_facts(stream, source.pin))
        if target.credentials is not None:
            hub.facts.hide(target.credentials.user, target.credentials.password)
        if isinstance(stream, Tunnel):
            target = stream.target
        peer = _peer(stream)
        ports = datagrams.ports if datagrams is not None and over == "udp" else None
        session = RtspSession(
            target,
            hub,
            hub.loss,
            secrets.randbits(32),
            ports,
            source.timeouts,
            source.audio,
            lambda: make_cipher(tools.kernel.clock.wall_ns()),
            facts=hub.facts,
            learned=learned,
            over=over,
            played=played,
        )
        hub.facts.measured_by(session.figures)
        try:
            await _converse(stream, session, hub, source.timeouts, datagrams)
        except Moved as moved:
            moved.peer = peer
            raise
        except Ended as ended:
            if ended.reason.code not in (ENDED.code, NO_ANSWER.code):
                raise
            session.learn(ended.reason)
            if session.playing:
                raise
            if learned != before:
                raise Again from None
            if learned.unanswered is not before.unanswered:
                keep_unanswered(hub, source, learned.unanswered)
            ended.at = session.asks if ended.reason is ENDED else ""
            raise
        finally:
            hub.facts.keep_measurements()
            if session.playing:
                keep(hub, learned)
            with bounded_shield(TEARDOWN_S):
                await _leave(stream, session)


async def _converse(
    stream: trio.abc.Stream, session: RtspSession, hub: Hub, limits: Timeouts, datagrams: Datagrams | None
) -> None:
    """Run the session. Never returns; raises `Ended` or `Moved`."""
    try:
        if datagrams is None:
            await _read(stream, session, hub, limits)
        else:
            await datagrams.pump(session, lambda: _read(stream, session, hub, limits, datagrams))
    except (ProtocolError, DescriptionError) as error:
        raise Ended(_unusable(error) if session.playing else not_rtsp(error)) from None
    except BitstreamError as error:
        raise Ended(_unusable(error)) from None
    except (OSError, trio.BrokenResourceError):
        raise Ended(ENDED) from None


def _check_tls(stream: trio.abc.Stream, pin: str, loss: SourceLoss) -> None:
    """Before the first byte of RTSP or HTTP. Raises `Ended` for a certificate other than the pinned one."""
    if pin and (seen := fingerprint(stream)) != pin:
        raise Ended(wrong_certificate(seen))
    if is_old(stream):
        loss.meet(Oddity.OLD_TLS)


def _unusable(error: ValueError) -> Reason:
    return Reason("bad-data", f"the received stream is not usable: {error}", Fault.TEMPORARY)


def _tls_facts(stream: trio.abc.Stream, pin: str) -> dict[str, str]:
    """Return fields of `CameraFacts`."""
    if isinstance(stream, Tunnel):
        stream = stream.down
    seen = fingerprint(stream)
    return {"tls": describe(stream, is_pinned=bool(pin) and seen == pin), "certificate": seen}


def _peer(stream: trio.abc.Stream) -> str:
    """Return the IP address of the other side; empty when unknown."""
    if isinstance(stream, Tunnel):
        stream = stream.down
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    if not isinstance(stream, trio.SocketStream):
        return ""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:  # it has closed the connection
        return ""


async def _connect(target: Target, over: Transport, source: Source, loss: SourceLoss, tools: Tools) -> trio.abc.Stream:
    """Open the connection, or the tunnel. Raises `Ended` when that fails."""

    async def open_checked(host: str, port: int, tls: bool) -> trio.abc.Stream:
        stream = await tools.open_tcp(host, port, tls)
        try:
            _check_tls(stream, source.pin, loss)
        except Ended:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    with trio.move_on_after(source.timeouts.connect_s):
        try:
            if over == "http":
                return await open_tunnel(open_checked, target, source.timeouts.connect_s)
            return await open_checked(target.host, target.port, target.tls)
        except TunnelRefused as refused:
            raise Ended(refused.reason) from None
        except (trio.BrokenResourceError, ssl.SSLError):
            raise Ended(NO_TLS) from None
        except UnicodeError:  # not a valid host name
            raise Ended(NO_SUCH_NAME) from None
        except OSError as error:
            raise Ended(unreachable(error)) from None
    raise Ended(too_slow(source.timeouts))


async def _read(
    stream: trio.abc.Stream, session: RtspSession, hub: Hub, limits: Timeouts, datagrams: Datagrams | None = None
) -> None:
    """Run the conversation and, over TCP, receive the media. Raises the error that ends it."""
    session.begin(trio.current_time())
    receive, share = _receiver(stream), CpuShare(trio.current_time())
    plays = False
    while True:
        if session.playing and not plays:
            plays = True
            hub.expect()
        if datagrams is not None:  # before PLAY is sent: its first datagrams may come at once
            datagrams.send(session)
        if session.outgoing:
            await _send(stream, session, limits)
        due = session.due()
        with trio.move_on_at(due) as wait:  # one for many access units: each scope costs as much as a dozen packets
            if datagrams is not None:
                datagrams.wait = wait
            while not session.outgoing and session.due() == due:
                data = await receive()
                if not data:
                    raise Ended(ENDED)
                now = trio.current_time()
                share.begin(session.messages)
                session.feed(data, now)
                while session.step():
                    share.pause(now, session.messages)
                    await trio.lowlevel.checkpoint()
                    share.begin(session.messages)
                if (wait_s := share.pause(now, session.messages)) > 0:
                    await trio.sleep(wait_s)
                if now >= due:  # a constant flow of media must not delay `tick`
                    break
        now = trio.current_time()
        if now >= session.due():
            session.tick(now)


def _receiver(stream: trio.abc.Stream) -> Callable[[], Awaitable[bytes]]:
    """Return a function that reads the available bytes, at most `RECEIVE`; empty at the end of the stream.

    From a socket without TLS, it waits for readability and then reads. `receive_some` tries to read before it waits;
    that first try finds nothing, and would be a third of the cost of an access unit.
    """

    async def receive() -> bytes:
        return bytes(await stream.receive_some(RECEIVE))

    if not isinstance(stream, trio.SocketStream):
        return receive
    number = stream.socket.fileno()

    async def receive_when_readable() -> bytes:
        while True:
            await trio.lowlevel.wait_readable(number)
            try:
                return os.read(number, RECEIVE)
            except BlockingIOError:
                continue

    return receive_when_readable


async def _send(stream: trio.abc.Stream, session: RtspSession, limits: Timeouts) -> None:
    data = bytes(session.outgoing)
    session.outgoing.clear()
    with trio.move_on_at(session.due()):
        await stream.send_all(data)
        return
    raise Ended(no_answer(limits))


async def _leave(stream: trio.abc.Stream, session: RtspSession) -> None:
    """Send TEARDOWN and wait for the response, as far as the camera cooperates."""
    session.leave(trio.current_time())
    try:
        while True:
            data = bytes(session.outgoing)
            session.outgoing.clear()
            if data:
                await stream.send_all(data)
            if session.left or not (chunk := await stream.receive_some(RECEIVE)):
                return
            session.feed(bytes(chunk), trio.current_time())
            while session.step() and not session.left:
                await trio.lowlevel.checkpoint()
    except (Ended, Moved, ProtocolError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        return  # it has closed the connection in its own way
