"""One TCP connection of a reader: requests in, replies and media out.

Rules of this file:
- A connection has one session, of one camera and one principal, and ends with it. Media go to the address that it comes
  from. Whether the principal may watch the camera is decided by the kernel, in the step that grants the lease.
- Requests are answered one after the other. Each step has a deadline: the first request, the rest of a request, the
  next step before PLAY, the reply, and for datagrams the next sign of life. So has PLAY, from the first description on.
- A client that sends more than a player is read more slowly (`cpu_share`).

Source: RFC 2326.
"""

import math
import secrets
import socket
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Protocol

import attrs
import trio
from msgspec.structs import replace

from supervisor.base.processors import processors
from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.rendition import BUSY_S, Choice, Consumer, ServedStream, busy, choose
from supervisor.domain.values import Fault, PeerProtocol, Reason, Transcode, name_of
from supervisor.ports.asking import asking
from supervisor.ports.decisions import Receipt
from supervisor.ports.reader_logins import ReaderLogins

from ..cpu_share import CpuShare
from ..media.hub import Hub, Still
from ..media.media import AudioFormat, VideoCodec
from ..media.payload import PACKETIZED
from ..sources.rtsp.messages import Parser, ProtocolError, Response, RtspRequest
from ..tools import Tools
from .actor import ReaderActor
from .description import AUDIO, MediaTrack, audio_track, describe, video_track
from .login import ConnectionLogin, TooManyFailures
from .reader import RtspReader
from .readers import LEFT, Readers
from .reports import read_report
from .requests import (
    PUBLIC,
    SESSION_S,
    Channels,
    Ports,
    RequestRefused,
    Stage,
    check,
    read_address,
    read_transport,
    refusal,
    reply,
)
from .wire import DatagramOutlet, InterleavedOutlet, Outlet, ReaderWire

FIRST_S = 10.0
"""Until the first request."""
REQUEST_S = 10.0
"""From the first byte of a request to its last."""
NEGOTIATE_S = 20.0
"""From one request to the next, before PLAY."""
PLAY_S = 30.0
"""From the first description of a camera to PLAY, whatever is asked in between: the lease holds the camera open."""
REPLY_S = 10.0
PICTURE_S = 8.0
"""How long DESCRIBE waits for a key frame: players give up after 5 to 20 s."""
RETRY_S = 2.0
RATE, BURST_S = 0.1, 0.5
"""The share of a connection, of the loop's thread: 50 requests at once, and ten a second."""
_READ = 16 * 1024

NOT_OPENED = Reason("not-opened", "the connection could not be made", Fault.NONE)
NOT_PLAYED = Reason("not-played", f"no PLAY came within {NEGOTIATE_S:g} s", Fault.NONE)
NEVER_PLAYED = Reason("not-played", f"no PLAY came within {PLAY_S:g} s of the description", Fault.NONE)
SILENT = Reason("lost", f"no request and no receiver report came for {SESSION_S} s", Fault.TEMPORARY)
NO_RTSP = Reason("no-rtsp", "the reader sent what is no RTSP", Fault.TEMPORARY)
UNREAD = Reason("stuck", f"the reader did not take a reply within {REPLY_S:g} s", Fault.TEMPORARY)
REFUSED = Reason("too-often", "too many logins have failed", Fault.NONE)
ANOTHER = Reason("left", "the reader asked for another camera", Fault.NONE)

READABLE = tuple(codec.name for codec in PACKETIZED)
"""The names of the video codecs that readers get."""

Address = tuple[str, int]


class ReadableCameras(Protocol):
    """The running cameras, as the server uses them."""

    async def open_reader(self, camera: CameraId, actor: ReaderActor) -> Readers:
        """Start the actor of a reader in the nursery of its camera. Raises `Rejected` when the camera does not run."""
        ...


class MediaSockets(Protocol):
    """The server's pair of UDP sockets, for all readers."""

    def open(self) -> tuple[socket.socket, socket.socket]:
        """Return the sockets of RTP and RTCP. Raises `OSError`."""
        ...

    def expect(self, addresses: Collection[Address], take: Callable[[bytes], None]) -> bool:
        """Pass RTCP from these addresses to `take`, and from no others, until `forget`.

        Returns False, and changes nothing, if one of them is that of another reader.
        """
        ...

    def forget(self, take: Callable[[bytes], None]) -> None: ...


@attrs.frozen
class Described:
    """The description that a reader has of its camera."""

    camera: CameraId
    actor: ReaderActor
    readers: Readers
    codec: VideoCodec
    tracks: dict[int, MediaTrack]
    audio: AudioFormat | None
    transcoded: Reason | None
    """Why `readers` are those of the rendition; None for the camera's own video."""


@attrs.frozen
class SetUp:
    """A track that was set up."""

    transport: Channels | Ports
    url: str


class _Over(Exception):
    """The connection ends, for this reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class Connection:
    """Serves one connection."""

    def __init__(
        self,
        connected: socket.socket,
        client: str,
        tools: Tools,
        cameras: ReadableCameras,
        sockets: MediaSockets,
        logins: ReaderLogins,
    ) -> None:
        """`connected` does not block; it is closed at the end."""
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(connected))
        self._host = str(connected.getsockname()[0])
        self._client, self._tools, self._cameras, self._sockets = client, tools, cameras, sockets
        self._wire = ReaderWire(connected)
        self._requests: list[RtspRequest] = []
        self._parser = Parser(self._take)
        self._share = CpuShare(trio.current_time(), rate=RATE, burst_s=BURST_S)
        self._login = ConnectionLogin(client, logins)
        self._session = ""
        self._described: Described | None = None
        self._opened_at: float | None = None
        """When the client had its first description."""
        self._set_up: dict[int, SetUp] = {}
        self._reader: RtspReader | None = None
        self._heard_at = trio.current_time()
        """When the last request came, or the last report."""
        self._partial_at: float | None = None
        """When the first byte of an incomplete request came."""

    @property
    def stage(self) -> Stage:
        if self._reader is not None:
            return Stage.PLAYING
        return Stage.READY if self._set_up else Stage.NONE

    def _take(self, message: RtspRequest | Response) -> None:
        if isinstance(message, RtspRequest):  # we ask nothing, so a response answers nothing
            self._requests.append(message)

    async def run(self) -> None:
        """Serve the connection to its end.

        Cancellation: at any time. Cleanup: the connection is closed, and its reader begins to close.
        """
        reason = LEFT
        try:
            await self._converse()
        except _Over as over:
            reason = over.reason
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._sockets.forget(self._hear)
            if self._described is not None:
                self._described.actor.leave(reason)
            self._wire.close()

    async def _converse(self) -> None:
        while data := await self._receive():
            self._share.begin(self._parser.messages)
            self._parser.feed(bytes(data))
            more = True
            while more:
                try:
                    more = self._parser.parse()
                except ProtocolError as error:
                    await self._send(refusal(None, RequestRefused(400, f"this is no RTSP: {error}")))
                    raise _Over(NO_RTSP) from None
                pause_s = self._share.pause(trio.current_time(), self._parser.messages)
                requests, self._requests = self._requests, []
                for request in requests:
                    self._heard_at = trio.current_time()
                    await self._answer(request)
                if self._wire.is_gone:
                    return
                await self._rest(pause_s)
                self._share.begin(self._parser.messages)
            if not self._parser.is_partial:
                self._partial_at = None
            elif self._partial_at is None:
                self._partial_at = trio.current_time()

    async def _rest(self, pause_s: float) -> None:
        """Read nothing for this time. Raises `_Over` when the deadline of this step comes before."""
        deadline, reason = self._deadline()
        resumed_at = trio.current_time() + pause_s
        await trio.sleep_until(min(resumed_at, deadline))
        if deadline < resumed_at:
            raise _Over(reason)

    async def _receive(self) -> bytes | bytearray:
        """Return what the client sends next; empty at its end. Raises `_Over` when nothing comes in time."""
        while True:
            deadline, reason = self._deadline()
            with trio.move_on_at(deadline):
                return await self._stream.receive_some(_READ)
            if self._deadline()[0] <= trio.current_time():
                raise _Over(reason)

    def _deadline(self) -> tuple[float, Reason]:
        """Return when the next bytes are too late, and why that ends the connection."""
        if self._reader is None and self._opened_at is not None:
            return min((self._opened_at + PLAY_S, NEVER_PLAYED), self._next_deadline(), key=itemgetter(0))
        return self._next_deadline()

    def _next_deadline(self) -> tuple[float, Reason]:
        if self._partial_at is not None:
            return self._partial_at + REQUEST_S, NO_RTSP
        if self._reader is None:
            return self._heard_at + (NEGOTIATE_S if self._parser.messages else FIRST_S), NOT_PLAYED
        return (self._heard_at + SESSION_S if self._reader.outlet.is_paced else math.inf), SILENT

    async def _answer(self, request: RtspRequest) -> None:
        try:
            check(request, self.stage, self._session)
            is_open = self._described is not None
            with asking(self._login.require(request, is_open=is_open)):
                await self._METHODS[request.method](self, request)
        except TooManyFailures as refused:
            await self._send(refusal(request, refused))
            raise _Over(REFUSED) from None
        except RequestRefused as refused:
            await self._send(refusal(request, refused))
        except Rejected as rejected:
            await self._send(refusal(request, _refused(rejected)))

    async def _send(self, data: bytes) -> None:
        """Send a reply. Raises `_Over` if the client does not take it in time."""
        with trio.move_on_after(REPLY_S):
            self._wire.reply(data)
            await self._wire.flush()
            return
        raise _Over(UNREAD)

    # ── methods ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _options(self, request: RtspRequest) -> None:
        await self._send(reply(request, 200, {"Public": PUBLIC}))

    async def _keep_alive(self, request: RtspRequest) -> None:
        if request.body.strip():
            raise RequestRefused(451, "there are no parameters")
        await self._send(reply(request, 200, self._session_header()))

    async def _describe(self, request: RtspRequest) -> None:
        address = read_address(request.url)
        described = await self._open(CameraId(address.camera))
        body = describe(described.camera, tuple(described.tracks.values()), secrets.randbits(31), self._host)
        base = request.url.partition("?")[0].rstrip("/") + "/"
        await self._send(reply(request, 200, {"Content-Base": base}, body, "application/sdp"))

    async def _setup(self, request: RtspRequest) -> None:
        address = read_address(request.url)
        described = await self._open(CameraId(address.camera))
        track = address.track
        if track is None:
            if len(described.tracks) > 1:
                raise RequestRefused(459, "set up each track on its own: trackID=0 and trackID=1")
            track = next(iter(described.tracks))
        if track not in described.tracks:
            raise RequestRefused(404, f"{described.camera} has no audio that can be read")
        others = {number: each.transport for number, each in self._set_up.items() if number != track}
        channels = [each.rtp for each in others.values() if isinstance(each, Channels)]
        transport = read_transport(request.header("transport"), track, channels)
        if any(type(each) is not type(transport) for each in others.values()):
            raise RequestRefused(461, "all tracks of a session need the same transport")
        if isinstance(transport, Channels):
            self._sockets.forget(self._hear)
            header = transport.header
        else:
            header = self._expect(transport, [each for each in others.values() if isinstance(each, Ports)])
        self._session = self._session or secrets.token_hex(8)
        self._set_up[track] = SetUp(transport, request.url)
        await self._send(reply(request, 200, {"Transport": header, **self._session_header()}))

    def _expect(self, ports: Ports, others: list[Ports]) -> str:
        """Expect reports from these ports, and from those of the other tracks. Returns the `Transport` header."""
        try:
            ours = [each.getsockname()[1] for each in self._sockets.open()]
        except OSError as error:
            raise RequestRefused(503, f"no UDP port can be opened: {error.strerror}", {"Retry-After": "5"}) from None
        if not {ports.rtp, ports.rtcp}.isdisjoint(ours):
            raise RequestRefused(461, "client_port names a port of banken")
        addresses = {(self._client, port) for each in (ports, *others) for port in (each.rtp, each.rtcp)}
        if not self._sockets.expect(addresses, self._hear):
            raise RequestRefused(461, "client_port names a port of another reader at this address")
        return f"RTP/AVP;unicast;client_port={ports.rtp}-{ports.rtcp};server_port={ours[0]}-{ours[1]}"

    async def _play(self, request: RtspRequest) -> None:
        described, headers = self._described, {"Range": "npt=0.000-", **self._session_header()}
        if self._reader is not None or described is None or described.actor.ended.is_set():
            await self._send(reply(request, 200, headers))
            return
        reader = RtspReader(
            self._wire,
            self._outlet(),
            described.codec,
            described.tracks,
            described.audio if AUDIO in self._set_up else None,
        )
        start = described.readers.add(reader)
        info = ",".join(
            f"url={each.url}"
            + (f";seq={start.sequences[track]}" if track in start.sequences else "")
            + (f";rtptime={start.stamps[track]}" if track in start.stamps else "")
            for track, each in sorted(self._set_up.items())
        )
        self._reader = reader
        self._wire.reply(reply(request, 200, {**headers, "RTP-Info": info}))  # before the first packet
        described.readers.report_now(reader)
        described.actor.play(reader, described.readers, described.transcoded)
        await trio.lowlevel.checkpoint()

    def _outlet(self) -> Outlet:
        channels = {
            track: each.transport.rtp for track, each in self._set_up.items() if isinstance(each.transport, Channels)
        }
        if channels:
            self._parser.channels = {channel + 1: self._hear_frame for channel in channels.values()}
            return InterleavedOutlet(self._wire, channels)
        addresses = {
            track: ((self._client, each.transport.rtp), (self._client, each.transport.rtcp))
            for track, each in self._set_up.items()
            if isinstance(each.transport, Ports)
        }
        return DatagramOutlet(self._sockets.open(), addresses)

    async def _teardown(self, request: RtspRequest) -> None:
        headers = self._session_header()
        if self._described is not None:
            self._described.actor.leave(LEFT)
            with trio.move_on_after(REPLY_S):
                await self._described.actor.ended.wait()
        await self._send(reply(request, 200, headers))
        raise _Over(LEFT)

    _METHODS = {  # noqa: RUF012
        "OPTIONS": _options,
        "DESCRIBE": _describe,
        "SETUP": _setup,
        "PLAY": _play,
        "TEARDOWN": _teardown,
        "GET_PARAMETER": _keep_alive,
        "SET_PARAMETER": _keep_alive,
    }

    def _session_header(self) -> dict[str, str]:
        return {"Session": f"{self._session};timeout={SESSION_S}"} if self._session else {}

    # ── the camera ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _open(self, camera: CameraId) -> Described:
        """Return the description of a camera, opened if needed. Raises `RequestRefused` and `Rejected`."""
        known = self._described
        if known is not None and known.camera == camera and not known.actor.ended.is_set():
            return known
        if known is not None:
            if self._set_up:
                raise RequestRefused(459, f"this session is of {known.camera}")
            known.actor.leave(ANOTHER)
            self._described = None
        actor, readers = await self._open_peer(camera)
        reason = LEFT
        try:
            found = await self._wait_picture(camera, actor, readers)
            if isinstance(found, Reason):
                reason = found
                raise _unreadable(found)
            self._described = found
        finally:
            if self._described is None:
                actor.leave(reason)
        self._opened_at = trio.current_time() if self._opened_at is None else self._opened_at
        return self._described

    async def _open_peer(self, camera: CameraId) -> tuple[ReaderActor, Readers]:
        kernel, peer = self._tools.kernel, PeerId(self._tools.kernel.new_id())
        command = c.OpenPeer(peer, camera, self._client, owner="", protocol=PeerProtocol.RTSP)
        opened = self._tools.leases.grant(command)
        with kernel.following(opened):
            try:
                if not (await kernel.wait_durable(Receipt((opened,), durable=False))).durable:
                    raise Rejected(Refusal.UNAVAILABLE, "the journal cannot write", 5.0)
                actor = ReaderActor(peer, self._wire, self._tools)
                return actor, await self._cameras.open_reader(camera, actor)
            except BaseException:
                # After any error the slot is released; where the actor has done so, this does nothing.
                kernel.emit(c.ReportPeerClosed(peer=peer, reason=NOT_OPENED))
                raise

    async def _wait_picture(self, camera: CameraId, actor: ReaderActor, readers: Readers) -> Described | Reason:
        """Wait for a key frame. Returns the reason if this reader gets none within `PICTURE_S`.

        Raises `_Over` when the client hangs up.
        """
        own, kernel, choice = readers.hub, self._tools.kernel, Choice(ServedStream.OWN)
        why: Reason | None = None
        with trio.move_on_after(PICTURE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                await _wait_key(own, actor)
                choice = self._choose(camera, own)
                if choice.stream is ServedStream.RENDITION and readers.rendition is not None:
                    readers = readers.rendition
                    assert readers.made is not None
                    why = busy(kernel.state, camera, processors())
                    if why is None:
                        since_ns = 0 if readers.made.needs.count else kernel.clock.mono_ns()  # the cached may be old
                        actor.need(readers.made.needs)
                        await _wait_key(readers.hub, actor, since_ns)
                nursery.cancel_scope.cancel(reason="the camera has a picture")
        if self._wire.is_gone:
            raise _Over(LEFT)
        if why is not None:
            return _not_shown(camera, why)
        still = readers.hub.still
        if still is None or readers.hub.newest_key() is None:
            return self._why_dark(camera, readers)
        if still.codec not in PACKETIZED:
            sends = f"{camera} sends {name_of(still.codec.name)}, which RTSP does not carry here"
            return Reason("unsupported-codec", f"{sends}; `transcode: auto` transcodes it", Fault.FATAL)
        source = self._tools.sources.find(camera)
        heard = own.audio if source is None or source.audio else None
        found = video_track(still.codec, still.units), audio_track(heard) if heard is not None else None
        tracks = {track.number: track for track in found if track is not None}
        return Described(camera, actor, readers, still.codec, tracks, heard if AUDIO in tracks else None, choice.why)

    def _why_dark(self, camera: CameraId, readers: Readers) -> Reason:
        """Return why `readers` have no key frame: the camera has sent none, or its transcoder has returned none."""
        if readers.made is None:
            known = self._tools.kernel.state.cameras.get(camera)
            why = f" ({known.phase.value}{f': {known.reason.text}' if known.reason else ''})" if known else ""
            return Reason("no-picture", f"{camera} has sent no picture within {PICTURE_S:g} s{why}", Fault.NONE)
        failure = readers.made.failure
        if failure is None:
            text = f"{camera} cannot be shown now: its transcoder has returned no video yet"
            return Reason("no-picture", text, Fault.NONE)
        return _not_shown(camera, failure)

    def _choose(self, camera: CameraId, own: Hub) -> Choice:
        known = self._tools.kernel.state.cameras.get(camera)
        picture = own.picture or (known.picture if known else None)
        return choose(Consumer.PLAYER, known.settings.transcode if known else Transcode.NEVER, picture, READABLE)

    async def _watch(self, wait: trio.CancelScope) -> None:
        """End `wait` when the client hangs up. Its next requests are read later."""
        await self._wire.wait_readable()
        if self._wire.is_gone:
            wait.cancel(reason="the reader hung up")

    def _hear(self, data: bytes) -> None:
        """Take RTCP of the reader."""
        heard = read_report(data)
        if heard is None:
            return
        self._heard_at = trio.current_time()
        if heard.loss is not None and self._reader is not None:
            self._reader.loss = heard.loss

    def _hear_frame(self, data: bytes, start: int, stop: int) -> None:
        self._hear(data[start:stop])


async def _wait_key(hub: Hub, actor: ReaderActor, since_ns: int = 0) -> Still | None:
    """Wait until a key frame that came after `since_ns` is cached. None if the reader ends before."""
    while hub.newest_key() is None or hub.still is None or hub.still.mono_ns < since_ns:
        if actor.ended.is_set():
            return None
        await hub.wait_unit()
    return hub.still


def _not_shown(camera: CameraId, why: Reason) -> Reason:
    return replace(why, text=f"{camera} cannot be shown now: {why.text}")


def _unreadable(why: Reason) -> RequestRefused:
    """The answer to a reader that gets no video."""
    if why.code == "unsupported-codec":
        return RequestRefused(415, why.text)
    after_s = RETRY_S if why.code == "no-picture" else BUSY_S
    return RequestRefused(503, why.text, {"Retry-After": f"{after_s:g}"})


def _refused(rejected: Rejected) -> RequestRefused:
    """The answer of RTSP to a rejected command: only 404, 403 and 503 have a meaning for players."""
    if rejected.refusal is Refusal.UNKNOWN:
        return RequestRefused(404, rejected.reason)
    if rejected.refusal is Refusal.FORBIDDEN:
        return RequestRefused(403, rejected.reason)
    after_s = math.ceil(rejected.retry_after_s or RETRY_S)
    return RequestRefused(503, rejected.reason, {"Retry-After": str(after_s)})
