"""One RTSP session: from OPTIONS to TEARDOWN. Sans-I/O: bytes and times in, bytes out, media to the sink.

Its parts: `exchange` has the requests and responses, `conversation` and `setup` their order, and `tracks` the media.
This file gives each of them the bytes and the times, and decides about the end of a connection.

Source: RFC 2326.
"""

from collections.abc import Callable, Collection

from supervisor.config.config import Timeouts
from supervisor.domain.values import Reason

from ...media.facts import SourceFacts
from ...media.media import SourceLoss
from ...media.oddities import Oddity
from .address import Target
from .choice import Sink
from .context import SessionContext
from .conversation import Conversation
from .encrypted import Cipher, make_cipher
from .exchange import Exchange
from .memory import SourceMemory
from .messages import NOT_RTSP, Parser, ProtocolError, Response, RtspRequest
from .reasons import ENDED, Ended, no_answer, not_rtsp
from .remote import Remote
from .tracks import NEVER, Tracks
from .transport import STEPS, TransportRefused
from .transport_header import Pair, Transport


class RtspSession:
    """The protocol state of one RTSP session.

    Output is in `outgoing` (over TCP) and `datagrams`; the sender removes it from there. Times are in seconds of one
    steady clock. `ports` are the UDP ports of both tracks, for the transport `udp`. `cipher` is called for encrypted
    media. `played` are the transports over which cameras of the device were last live.
    """

    def __init__(
        self,
        target: Target,
        sink: Sink,
        loss: SourceLoss,
        ssrc: int = 0,
        ports: tuple[Pair, Pair] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (it is frozen)
        wants_audio: bool = True,
        cipher: Callable[[], Cipher] = lambda: make_cipher(0),
        facts: SourceFacts | None = None,
        learned: SourceMemory | None = None,
        over: Transport | None = None,
        played: Collection[str] = (),
    ) -> None:
        self._context = context = SessionContext(
            target,
            sink,
            loss,
            facts or SourceFacts(),
            SourceMemory() if learned is None else learned,
            timeouts,
            over or ("udp" if ports else "tcp"),
            ports,
            played,
            cipher,
            ssrc,
        )
        self._wants_audio = wants_audio
        self._parser = Parser(self._take)
        self._exchange = Exchange(context)
        self._tracks = Tracks(context, self._parser, self._exchange.outgoing)
        self._conversation = Conversation(context, self._exchange, self._tracks)

    # ── what goes out ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outgoing(self) -> bytearray:
        """The bytes for the camera."""
        return self._exchange.outgoing

    @property
    def datagrams(self) -> list[tuple[int, bytes]]:
        """Receiver reports, each with the number of its track."""
        return self._tracks.datagrams

    @property
    def remotes(self) -> list[Remote]:
        """Where the datagrams of each track come from."""
        return self._tracks.remotes

    @property
    def playing(self) -> bool:
        """Whether the camera has agreed to play."""
        return self._exchange.playing

    @property
    def left(self) -> bool:
        """Whether the session has ended."""
        return self._conversation.left

    @property
    def asks(self) -> str:
        """The method of the request that has no response yet; empty when none is pending."""
        return self._exchange.asks

    @property
    def messages(self) -> int:
        """The number of messages that the camera has sent."""
        return self._parser.messages

    def figures(self) -> dict[str, object]:
        """Return loss and jitter of the video at this moment: fields of `CameraFacts`."""
        return self._tracks.figures()

    # ── what comes in ───────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, now: float) -> None:
        self._set_time(now)
        self._exchange.run(self._conversation.converse(self._wants_audio))

    def feed(self, data: bytes, now: float) -> None:
        """Buffer bytes that were received over TCP; `step` parses them."""
        self._set_time(now)
        self._parser.feed(data)

    def step(self) -> bool:
        """Parse one batch. Returns whether more can be parsed at once; other tasks should run in between.

        Raises `Ended`, `Moved`, `ProtocolError`, and `BitstreamError` for parameter sets that no video can have.
        """
        more = self._parser.parse()
        self._tracks.watch()
        return more

    def receive(self, track: int, data: bytes, now: float) -> int:
        """Receive one datagram at the port of RTP. Returns its work, in datagrams. Raises as `step`."""
        self._set_time(now)
        return self._tracks.receive(track, data)

    def receive_report(self, track: int, data: bytes, now: float) -> int:
        """Receive one datagram at the port of RTCP. Returns as `receive`."""
        self._set_time(now)
        return self._tracks.receive_report(track, data)

    def due(self) -> float:
        """Return the latest time for the next call of `tick`."""
        pending = self._exchange.pending
        return min(pending.due if pending else NEVER, self._conversation.alive_at, self._tracks.due())

    def tick(self, now: float) -> None:
        """Handle timeouts, keep-alives and reports at time `now`. Raises `Ended` when a response is overdue."""
        self._set_time(now)
        if (pending := self._exchange.pending) is not None and now >= pending.due:
            self._give_up(pending.asked.method)
        if now >= self._conversation.alive_at:
            self._conversation.plan_keep_alive(now)
            if self._exchange.pending is None:
                self._exchange.run(self._conversation.keep_alive())
        self._tracks.tick()

    def _set_time(self, now: float) -> None:
        self._exchange.now = now
        self._tracks.set_time(now)

    def _take(self, message: RtspRequest | Response) -> None:
        self._exchange.take(message)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _give_up(self, method: str) -> None:
        """End the wait for a response. Raises `Ended` where the conversation cannot go on without it."""
        if self.playing:
            self._exchange.give_up()
        elif method == "PLAY" and self._tracks.has_media:
            self._context.loss.meet(Oddity.SILENT_PLAY)
            self._exchange.give_up(Response({}, status=200))
        else:
            raise Ended(no_answer(self._context.timeouts))

    def learn(self, reason: Reason) -> None:
        """Learn from an end of the connection what the next one may do in another way.

        Raises `Ended` when the camera has hung up after too many answers to its challenges, or is a web server. Raises
        `TransportRefused` when it hangs up at the SETUP of its video, unless its device was live over this transport
        before. Without an answer there, the next attempt begins with another transport; without one to PLAY, it leaves
        out the Range.
        """
        pending, learned = self._exchange.pending, self._context.learned
        if not self.playing and self._parser.begins_http:
            raise Ended(not_rtsp(ProtocolError(NOT_RTSP)))
        if pending is None:
            return
        if self.playing:
            if reason is ENDED:
                learned.hangs_up_at = pending.asked.method
            return
        if pending.is_challenged and reason is ENDED:
            self._exchange.remember_authorization()
            return
        sets_up_video, over = self.asks == "SETUP" and not len(self._tracks), self._context.over
        if sets_up_video and over not in self._context.played:
            if reason is ENDED:
                raise TransportRefused(over, 0, reason)
            learned.unanswered = STEPS.get(over)
            return
        if reason is not ENDED and self.asks == "PLAY":
            learned.unanswered = pending.asked.step
            return
        for step in self._exchange.refused if reason is ENDED else ():
            learned.leave_out(step)
        if (named := pending.asked.step) and (reason is ENDED or pending.asked.method in ("OPTIONS", "SETUP")):
            learned.leave_out(named, is_doubtful=named not in learned.doubtful)

    def leave(self, now: float) -> None:
        """Begin to end the session. Only responses are read from now on; `left` becomes true at the end."""
        self._set_time(now)
        self._conversation.alive_at = NEVER
        self._tracks.stop()
        waits = self.asks == "SETUP" and not self._exchange.session_id
        self._exchange.run(self._conversation.end(waits))
