"""The conversation of one RTSP session: from OPTIONS to PLAY, keep-alives, and TEARDOWN. Sans-I/O.

Rules of this file:
- The conversation is one generator, to be read from top to bottom: it yields requests and receives the responses.
- A request that a camera may fail at names its `OptionalStep`: without it, the next connection may succeed.

Source: RFC 2326, section 10.
"""

from ...media.media import AUDIO_OFF
from ...media.oddities import Oddity
from . import sdp
from .address import repair
from .choice import choose_audio, choose_videos
from .context import SessionContext
from .exchange import Asking, Dialogue, Exchange
from .memory import OptionalStep
from .messages import Response
from .reasons import NO_ANSWER, Ended
from .rtp_info import read_ssrcs
from .setup import TrackSetup
from .tracks import NEVER, Tracks

OPTIONS_SHARE = 0.4
"""Time limit for the response to OPTIONS, as a share of `Timeouts.answer_s`. The next connection leaves it out."""
_WRONG_ADDRESS = frozenset((400, 404, 410, 451))
"""Statuses of a camera that does not know an address, if that is one that we made."""
_NOT_FOR_RANGE = frozenset((401, 403, 404, 453, 454, 461, 503))
"""Statuses of a refused PLAY that have another cause than its Range."""


class Conversation:
    """The dialogues of one session, for an `Exchange` to run."""

    def __init__(self, context: SessionContext, exchange: Exchange, tracks: Tracks) -> None:
        self.left = False
        """Whether the session has ended."""
        self.alive_at = NEVER
        """The time of the next keep-alive."""
        self._exchange, self._tracks = exchange, tracks
        self._setup = TrackSetup(context, exchange, tracks)
        self._target, self._sink, self._loss = context.target, context.sink, context.loss
        self._facts, self._learned = context.facts, context.learned
        self._alive = "OPTIONS"
        self._received = 0
        """The packets of both tracks up to the last keep-alive."""

    def converse(self, wants_audio: bool) -> Dialogue:
        """Bring the camera to play."""
        step = None if OptionalStep.OPTIONS in self._learned.without else OptionalStep.OPTIONS
        if step is None:
            self._alive = "GET_PARAMETER"
        else:
            yield from self._ask_options()
        described = yield from self._exchange.ask("DESCRIBE", self._target.url, {"Accept": "application/sdp"}, step)
        self._exchange.require(described)
        self._exchange.named_early = described.header("session")
        if not described.body.strip():
            raise Ended(NO_ANSWER)
        description = sdp.parse(described.body)
        self._facts.note(title=description.title, information=description.information, tool=description.tool)
        self._setup.base, self._setup.presentation = self._base(described), description.control
        videos = choose_videos(description)
        audio, mute = choose_audio(description) if wants_audio else (None, AUDIO_OFF)
        yield from self._setup.set_up_video(videos)
        if audio is not None and OptionalStep.AUDIO in self._learned.without:
            audio, mute = None, "the connection ended when the audio of the camera was requested"
        if audio is not None:
            mute = yield from self._setup.set_up_audio(audio)
            audio = None if mute else audio
        self._sink.set_audio(audio.audio if audio else None, mute)
        answer = yield from self._play()
        self._exchange.require(answer)
        for index, ssrc in read_ssrcs(answer.header("rtp-info"), self._setup.addresses).items():
            self._tracks.name_ssrc(index, ssrc)
        self._exchange.playing = True
        if self._alive == self._learned.hangs_up_at:
            is_without = OptionalStep.OPTIONS in self._learned.without
            self._alive = "GET_PARAMETER" if self._alive == "OPTIONS" or is_without else "OPTIONS"
        self._learned.count(self._loss)
        self.plan_keep_alive(self._exchange.now)
        self._tracks.begin_reports()

    def plan_keep_alive(self, now: float) -> None:
        self.alive_at = now + max(1.0, self._exchange.timeout_s / 2)

    def keep_alive(self) -> Dialogue:
        """Tell the camera that we are still there. Raises `Ended` if it has forgotten the session."""
        answer = yield from self._exchange.ask(self._alive, self._setup.whole)
        before, self._received = self._received, self._tracks.received
        if answer.status == 454 and self._received == before:  # a session whose media comes is known to the camera
            self._exchange.session_id = ""
            self._exchange.require(answer)
        if answer.status >= 400 and OptionalStep.OPTIONS not in self._learned.without:
            self._alive = "OPTIONS"  # the camera may not support what it announced

    def end(self, waits: bool) -> Dialogue:
        """End the session. With `waits`, the response to SETUP that names it comes first."""
        if waits:
            self._exchange.note_session((yield None))
        if self._exchange.session_id:
            yield from self._exchange.ask("TEARDOWN", self._setup.whole)
        self.left = True

    def _ask_options(self) -> Dialogue:
        url, share = self._target.url, OPTIONS_SHARE
        options = yield from self._exchange.ask("OPTIONS", url, step=OptionalStep.OPTIONS, share=share)
        is_redirect = 300 <= options.status < 400 and options.header("location")
        if is_redirect or (options.status == 401 and self._exchange.is_authorized):
            self._exchange.require(options)
        if options.status >= 300:
            self._learned.leave_out(OptionalStep.OPTIONS)
        if options.status >= 300 or "GET_PARAMETER" in options.header("public").upper():
            self._alive = "GET_PARAMETER"

    def _play(self) -> Asking:
        """Return the response to PLAY. If the address of the whole is unknown there, that of DESCRIBE is tried."""
        answer = yield from self._ask_to_play()
        if answer.status in _WRONG_ADDRESS and self._setup.whole != self._target.url:
            self._setup.whole = self._target.url
            self._loss.meet(Oddity.ODD_BASE)
            answer = yield from self._ask_to_play()
        return answer

    def _ask_to_play(self) -> Asking:
        ask, whole = self._exchange.ask, self._setup.whole
        if OptionalStep.RANGE in self._learned.without or self._learned.unanswered is OptionalStep.RANGE:
            return (yield from ask("PLAY", whole))
        answer = yield from ask("PLAY", whole, {"Range": "npt=0.000-"}, OptionalStep.RANGE)
        if answer.status < 400 or answer.status in _NOT_FOR_RANGE:
            return answer
        self._exchange.refused.add(OptionalStep.RANGE)
        answer = yield from ask("PLAY", whole)
        if 200 <= answer.status < 300:
            self._learned.leave_out(OptionalStep.RANGE)
        return answer

    def _base(self, described: Response) -> str:
        """Return the base of the control addresses."""
        asked = self._target.url
        for name in ("content-base", "content-location"):
            for text in described.headers.get(name, ())[:1]:
                try:
                    base = repair(text, asked)
                except ValueError:
                    base = asked
                if base != text:
                    self._loss.meet(Oddity.ODD_BASE)
                if text not in ("", "*"):
                    return base
        return asked
