"""One RTSP session: from OPTIONS to TEARDOWN. Sans-I/O: bytes and the time in, bytes out, media to the sink.

Rules of this file:
- The conversation is one generator, to be read from top to bottom: it yields what is asked and gets the answers.
- One request is under way at a time. Each is answered within `ANSWER_S`, or the session is over; only one that merely
  keeps it alive may stay without an answer.
- The password leaves here as an answer to a challenge, and in no other form.

Source: RFC 2326, sections 10 (methods), 12.37 (Session), 12.39 (Transport) and 14 (authentication).
"""

import re
from collections.abc import Generator, Mapping
from functools import partial

import attrs

from ...bitstream import BitstreamError
from ...media import SourceLoss
from ...share import OF_PICTURE, OF_SOUND
from . import rtcp, sdp
from .address import Target, resolve
from .auth import Authorization, choose
from .choice import Audio, Sink, Video, choose_audio, choose_video
from .messages import Parser, Request, Response, encode_request, encode_response
from .reasons import BABBLES, LET_GO, NO_ANSWER, NO_PASSWORD, Ended, Moved, refusal
from .rtp import Reorder, Track
from .timeline import Sync, Timeline

ANSWER_S = 10.0
DEFAULT_TIMEOUT_S = 60.0
"""Of a session whose camera names none (RFC 2326, section 12.37)."""
MAX_UNASKED = 256
"""Messages that answer nothing, between two requests of ours: cameras send a few."""
REPORT_S = 10.0
"""Between two receiver reports."""
AGENT = "banken"
_OURS = "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, REDIRECT, TEARDOWN"
"""What a camera may ask of us."""

Ports = tuple[int, int]
"""Of RTP and of RTCP."""


@attrs.frozen
class Asked:
    """A request without what every request has."""

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict)


Dialogue = Generator[Asked | None, Response, None]
"""Yields what is to be asked; none only waits for the answer that is still due."""


@attrs.define
class _Pending:
    asked: Asked
    number: int
    due: float


class Session:
    """What is to be sent is in `outgoing` (over TCP) and `datagrams`; whoever sends it takes it from there."""

    def __init__(
        self, target: Target, sink: Sink, loss: SourceLoss, ssrc: int = 0, ports: tuple[Ports, Ports] | None = None
    ) -> None:
        self.outgoing = bytearray()
        self.datagrams: list[tuple[int, bytes]] = []
        """Receiver reports for the tracks of these numbers."""
        self.servers: list[Ports] = []
        """Where each track comes from, over UDP."""
        self.playing = False
        self.left = False
        """Whether the camera has let us go."""
        self._target, self._sink, self._loss, self._ssrc, self._ports = target, sink, loss, ssrc, ports
        self._now = 0.0
        self._parser = Parser(self._receive)
        self._dialogue: Dialogue = self._converse()
        self._pending: _Pending | None = None
        self._unasked = 0
        """Messages since our last request that answer none: interim answers, late ones, requests of the camera."""
        self._authorization: Authorization | None = None
        self._number = 0
        self._id = ""
        self._all = target.url
        """The address of all media together."""
        self._timeout_s = DEFAULT_TIMEOUT_S
        self._alive = "OPTIONS"
        self._alive_at = self._report_at = float("inf")
        self._video, self._audio = Timeline(90_000), Timeline(90_000)
        self._sync = Sync(self._video, self._audio)
        self._tracks: list[Track] = []
        self._orders: list[Reorder] = []
        self._channels: list[int] = []

    # ── what goes in ────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, now: float) -> None:
        self._now = now
        self._go_on()

    def feed(self, data: bytes, now: float) -> None:
        """What came over TCP, to be read by `step`."""
        self._now = self._video.now = self._audio.now = now
        self._parser.feed(data)

    def step(self) -> bool:
        """Read on; whether there is more to read at once. Others should have their turn in between.

        Raises `Ended`, `Moved`, `ProtocolError`, and `BitstreamError` for parameter sets that no picture can have.
        """
        return self._parser.parse()

    @property
    def messages(self) -> int:
        """How many the camera has sent."""
        return self._parser.messages

    def receive(self, track: int, data: bytes, now: float) -> int:
        """One datagram of RTP. Returns how many it is worth, for its work. Raises as `step`."""
        self._now = self._video.now = self._audio.now = now
        self._parser.spent = 0
        if track < len(self._orders):
            self._orders[track].receive(data, now)
        return 1 + self._parser.spent

    def hear(self, track: int, data: bytes, now: float) -> int:
        """One datagram of RTCP. Returns as `receive`."""
        self._now = self._video.now = self._audio.now = now
        if track < len(self._tracks):
            self._hear(self._tracks[track], data, 0, len(data))
        return 1

    def due(self) -> float:
        """When `tick` wants to be called at the latest."""
        return min(self._pending.due if self._pending else float("inf"), self._alive_at, self._report_at)

    def tick(self, now: float) -> None:
        """Time has passed. Raises `Ended` when an answer did not come in time."""
        self._now = now
        if self._pending is not None and now >= self._pending.due:
            if not self.playing:
                raise Ended(NO_ANSWER)
            self._pending = None
        if now >= self._alive_at:
            self._alive_at = now + max(1.0, self._timeout_s / 2)
            if self._pending is None:
                self._dialogue = self._keep_alive()
                self._go_on()
        if now >= self._report_at:
            self._report_at = now + REPORT_S
            self._send_reports()

    def leave(self, now: float) -> None:
        """Begin the end: what comes from now on is read for the answer alone, which `left` says has come."""
        self._now = now
        self._alive_at = self._report_at = float("inf")
        self._parser.channels = dict.fromkeys(self._parser.channels, _ignore)
        waits = self._pending is not None and self._pending.asked.method == "SETUP"
        self._dialogue = self._depart(waits)
        self._go_on()

    # ── the conversation ────────────────────────────────────────────────────────────────────────────────────────

    def _converse(self) -> Dialogue:
        options = yield from self._ask("OPTIONS", self._target.url)
        if options.status == 401 or 300 <= options.status < 400:
            self._require(options)
        if "GET_PARAMETER" in options.header("public").upper():
            self._alive = "GET_PARAMETER"
        described = yield from self._ask("DESCRIBE", self._target.url, {"Accept": "application/sdp"})
        self._require(described)
        if not described.body.strip():
            raise Ended(NO_ANSWER)
        description = sdp.parse(described.body)
        base = described.header("content-base") or described.header("content-location") or self._target.url
        self._all = self._address(base, description.control)
        video = choose_video(description)
        audio, mute = choose_audio(description)
        answer, has_place = yield from self._set_up(self._address(self._all, video.media.control))
        self._require(answer)
        if not has_place:
            raise Ended(NO_ANSWER)
        self._take_video(video)
        if audio is not None:
            answer, has_place = yield from self._set_up(self._address(self._all, audio.media.control))
            if has_place:
                self._take_audio(audio)
            elif 200 <= answer.status < 300:
                audio, mute = None, "the camera sends its sound in the picture's channels"
            else:
                audio, mute = None, f"the camera refuses its sound with status {answer.status}"
        self._sink.set_audio(audio.audio if audio else None, mute)
        self._require((yield from self._ask("PLAY", self._all, {"Range": "npt=0.000-"})))
        self.playing = True
        self._alive_at, self._report_at = self._now + max(1.0, self._timeout_s / 2), self._now + REPORT_S

    def _keep_alive(self) -> Dialogue:
        answer = yield from self._ask(self._alive, self._all)
        if answer.status == 454:
            self._id = ""
            self._require(answer)
        if answer.status >= 400:
            self._alive = "OPTIONS"  # it may have promised too much

    def _depart(self, waits: bool) -> Dialogue:
        if waits:
            self._note_session((yield None))
        if self._id:
            yield from self._ask("TEARDOWN", self._all)
        self.left = True

    def _set_up(self, url: str) -> Generator[Asked | None, Response, tuple[Response, bool]]:
        """The answer, and whether the track has its own channels or ports now."""
        index = len(self._tracks)
        if self._ports:
            transport = "RTP/AVP;unicast;client_port={}-{}".format(*self._ports[index])
        else:
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1}"
        answer = yield from self._ask("SETUP", url, {"Transport": transport})
        if not 200 <= answer.status < 300:
            return answer, False
        self._note_session(answer)
        return answer, self._note_transport(answer, index)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> Generator[Asked | None, Response, Response]:
        """Ask; a camera that wants to know who we are is told, and once more if what it gave us has grown stale."""
        asked = Asked(method, url, headers or {})
        answer = yield asked
        for stale_only in (False, True):
            if answer.status != 401 or not self._has_answer_to(answer, stale_only):
                break
            answer = yield asked
        return answer

    def _has_answer_to(self, answer: Response, stale_only: bool) -> bool:
        """Whether it is worth trying with another authorization, which is then in place."""
        challenge, before = choose(answer.headers.get("www-authenticate", ())), self._authorization
        if challenge is None or self._target.credentials is None:
            return False
        known = before is not None and before.challenge.nonce == challenge.nonce
        if not challenge.is_stale and (known or stale_only):
            return False
        self._authorization = Authorization(self._target.credentials, challenge)
        return True

    def _require(self, answer: Response) -> None:
        """Raises `Ended` or `Moved` for what is no success."""
        if 300 <= answer.status < 400 and answer.header("location"):
            raise Moved(answer.header("location"))
        if answer.status == 401 and self._target.credentials is None:
            raise Ended(NO_PASSWORD)
        if not 200 <= answer.status < 300:
            raise Ended(refusal(answer.status, "udp" if self._ports else "tcp"))

    def _go_on(self, answer: Response | None = None) -> None:
        """The next step of the dialogue."""
        before, self._pending = self._pending, None
        try:
            asked = next(self._dialogue) if answer is None else self._dialogue.send(answer)
        except StopIteration:
            return
        if asked is None:
            self._pending = before
            return
        self._number += 1
        self._unasked = 0
        headers = {"CSeq": str(self._number), "User-Agent": AGENT, **asked.headers}
        if self._id:
            headers["Session"] = self._id
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.header(asked.method, asked.url)
        self.outgoing += encode_request(asked.method, asked.url, headers)
        self._pending = _Pending(asked, self._number, self._now + ANSWER_S)

    def _receive(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self._count_unasked()
            self._answer(message)
            return
        number = message.header("cseq")
        if self._pending is None or message.status < 200 or number not in ("", str(self._pending.number)):
            self._count_unasked()
            return
        self._go_on(message)

    def _count_unasked(self) -> None:
        """Raises `Ended` for a camera that sends them without end."""
        self._unasked += 1
        if self._unasked > MAX_UNASKED:
            raise Ended(BABBLES)

    def _answer(self, request: Request) -> None:
        """What a camera asks of us."""
        headers = {"CSeq": request.header("cseq")[:20]}
        known = request.method in _OURS.split(", ")
        if request.method == "OPTIONS":
            headers["Public"] = _OURS
        self.outgoing += encode_response("200 OK" if known else "501 Not Implemented", headers)
        if request.method == "TEARDOWN":
            self._id = ""
            raise Ended(LET_GO)
        if request.method == "REDIRECT":
            raise Moved(request.header("location"))

    # ── what the answers say ────────────────────────────────────────────────────────────────────────────────────

    def _address(self, base: str, control: str) -> str:
        try:
            return resolve(base, control)
        except ValueError:
            return self._target.url

    def _note_session(self, answer: Response) -> None:
        name = answer.header("session").partition(";")[0]
        self._id = name.strip()[:256] or self._id
        found = re.search(r";\s*timeout\s*=\s*(\d{1,6})", answer.header("session"), re.IGNORECASE)
        if found and int(found[1]):
            self._timeout_s = min(DEFAULT_TIMEOUT_S, float(found[1]))

    def _note_transport(self, answer: Response, index: int) -> bool:
        """The channels or ports that the camera chose; it may have its own mind about them. Whether they are of use."""
        name = "server_port" if self._ports else "interleaved"
        found = re.search(rf"{name}=(\d{{1,5}})(?:-(\d{{1,5}}))?", answer.header("transport"))
        first, second = (int(found[1]), int(found[2] or int(found[1]) + 1)) if found else (2 * index, 2 * index + 1)
        if self._ports:
            self.servers.append((first, second) if found else (0, 0))
        elif not (first < 256 and second < 256) or {first, second} & self._parser.channels.keys():
            return False
        self._channels = [*self._channels, first, second]
        return True

    def _take_video(self, video: Video) -> None:
        codec = video.codec
        publish, set_parameter_sets = self._sink.publish, self._sink.set_parameter_sets

        def show(units: list[bytes], timestamp: int) -> None:
            self._spend(OF_PICTURE + len(units))
            publish(units, self._video.pts(timestamp), codec)

        def tell(units: list[bytes]) -> None:
            self._spend(OF_PICTURE + len(units))
            set_parameter_sets(units, codec)

        try:
            tell(video.parameter_sets())
        except BitstreamError:
            self._loss.malformed += 1  # the right ones may come in band
        depacketizer = video.depacketizer(show, tell, self._loss, self._spend)
        self._add_track(Track(video.format.number, depacketizer, self._video, self._loss))

    def _take_audio(self, audio: Audio) -> None:
        self._audio.rate = audio.format.clock_rate

        def hear(frame: bytes, timestamp: int) -> None:
            self._spend(OF_SOUND)
            pts = self._sync.audio_pts(timestamp)
            if pts is not None:
                self._sink.publish_audio(frame, pts)

        self._add_track(Track(audio.format.number, audio.depacketizer(hear, self._loss), self._audio, self._loss))

    def _spend(self, work: int) -> None:
        self._parser.spent += work

    def _add_track(self, track: Track) -> None:
        self._tracks.append(track)
        self._orders.append(Reorder(track, lambda: self._parser.spent))
        if not self._ports:
            first, second = self._channels[-2:]
            self._parser.channels |= {first: track.receive, second: partial(self._hear, track)}

    # ── RTCP ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hear(self, track: Track, data: bytes, start: int, stop: int) -> None:
        for report in rtcp.parse(data[start:stop]):
            if report.ssrc == track.ssrc:
                track.hear(report, self._now)
                track.timeline.hear(report)
                self._sync.adjust()

    def _send_reports(self) -> None:
        for index, track in enumerate(self._tracks):
            report = rtcp.build(self._ssrc, track.ssrc & 0xFFFFFFFF, track.report(self._now))
            if self._ports:
                self.datagrams.append((index, report))
            else:
                self.outgoing += b"$%c%b%b" % (self._channels[2 * index + 1], len(report).to_bytes(2), report)


def _ignore(data: bytes, start: int, stop: int) -> None:
    """Media that comes after the end."""
