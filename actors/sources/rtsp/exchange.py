"""The requests of one RTSP session, and their responses. Sans-I/O.

Rules of this file:
- One request is in flight at a time. Each is answered within `Timeouts.answer_s`, or it is given up.
- Responses are taken in order. Their CSeq only shows which of them are late or repeated.
- Messages that answer nothing are bounded.
- The password leaves this file only as an answer to a challenge, also to one that an earlier connection to the same
  address has remembered.

Source: RFC 2326, sections 10 (methods), 12.17 (CSeq), 12.37 (Session) and 14 (authentication).
"""

import re
from collections import deque
from collections.abc import Generator, Mapping

import attrs

from ...media.oddities import Oddity
from . import transport
from .auth import Authorization, choose_next
from .context import SessionContext
from .memory import OptionalStep
from .messages import AGENT, NOT_RTSP, ProtocolError, Response, RtspRequest, encode_request, encode_response
from .reasons import STREAM_ENDED, UNASKED_MESSAGES, Ended, Moved, refusal, unauthorized
from .transport import TransportRefused

DEFAULT_TIMEOUT_S = 60.0
"""Timeout of a session whose camera names none (RFC 2326, section 12.37)."""
MAX_UNASKED = 256
"""Limit of messages that answer no request, between two of our requests: cameras send a few."""
MAX_GIVEN_UP = 8
"""Limit of requests without a response whose late responses are recognised."""
MAX_HANG_UPS = 2
"""Limit of connections in a row that end after a challenge: each costs the camera an attempt with our password."""
_OURS = "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, REDIRECT, TEARDOWN"
"""Methods of requests that a camera may send."""


@attrs.frozen
class RequestDraft:
    """A request without the headers that every request has."""

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    step: OptionalStep | None = None
    """The part of the conversation that it belongs to, if that can be left out."""
    share: float = 1.0
    """Its time limit, as a share of `Timeouts.answer_s`."""


Dialogue = Generator[RequestDraft | None, Response, None]
"""Yields the next request; None waits for the response that is still pending."""
Asking = Generator[RequestDraft | None, Response, Response]
"""A part of a dialogue that returns a response."""


@attrs.frozen
class PendingRequest:
    asked: RequestDraft
    number: int
    at: float
    due: float
    is_challenged: bool
    """Whether it answers a challenge that was received on this connection."""


class Exchange:
    """Sends the requests that a dialogue yields, and returns the responses to it.

    `outgoing` are the bytes for the camera; the sender removes them from there.
    """

    def __init__(self, context: SessionContext) -> None:
        self.outgoing = bytearray()
        self.now = 0.0
        self.pending: PendingRequest | None = None
        self.playing = False
        """Whether the camera has agreed to play."""
        self.refused: set[OptionalStep] = set()
        """The steps that the camera has refused on this connection, and that it may hang up for."""
        self.session_id = ""
        self.named_early = ""
        """The session that the camera names before SETUP. Some name none there."""
        self.timeout_s = DEFAULT_TIMEOUT_S
        self._target, self._timeouts, self._over = context.target, context.timeouts, context.over
        self._loss, self._facts, self._learned = context.loss, context.facts, context.learned
        self._dialogue: Dialogue = iter(())  # type: ignore[assignment]
        self._number = 0
        self._unasked = 0
        """Messages since our last request that answer none: interim responses, late ones, requests of the camera."""
        self._given_up: deque[int] = deque(maxlen=MAX_GIVEN_UP)
        """The numbers of requests that are no longer waited for."""
        self._last: Response | None = None
        """The last response that was taken."""
        self._counts = True
        """Whether all responses so far had the number of their request."""
        self._is_challenged = False
        self._authorization: Authorization | None = None
        known = self._learned.authorization
        if known is not None and known.credentials == self._target.credentials:
            self._authorization = known

    @property
    def asks(self) -> str:
        """The method of the request that has no response yet; empty when none is pending."""
        return self.pending.asked.method if self.pending else ""

    @property
    def is_authorized(self) -> bool:
        """Whether requests have an answer to a challenge."""
        return self._authorization is not None

    def run(self, dialogue: Dialogue) -> None:
        """Begin a dialogue, instead of the one before."""
        self._dialogue = dialogue
        self._go_on()

    def take(self, message: RtspRequest | Response) -> None:
        """Take a message of the camera. Raises `Ended` and `Moved`, as the dialogue does."""
        if isinstance(message, RtspRequest):
            self._count_unasked()
            self._answer(message)
            return
        pending = self.pending
        if pending is None or not self._is_awaited(message, pending.number):
            self._count_unasked()
            return
        self._facts.hear_answer(pending.asked.method, self.now - pending.at, message.header("server"))
        self._last = message
        self._go_on(message)

    def give_up(self, instead: Response | None = None) -> None:
        """End the wait for a response. The dialogue goes on with `instead`, or stays where it is."""
        assert self.pending is not None
        self._given_up.append(self.pending.number)
        if instead is None:
            self.pending = None
        else:
            self._go_on(instead)

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        step: OptionalStep | None = None,
        share: float = 1.0,
    ) -> Asking:
        """Send a request. A challenge is answered, and once more if its nonce or its algorithm was not accepted."""
        asked = RequestDraft(method, url, headers or {}, step, share)
        answer = yield asked
        for is_last in (False, True):
            if answer.status != 401 or not self._has_answer_to(answer, is_last):
                break
            answer = yield asked
        return answer

    def require(self, answer: Response, of_setup: bool = False) -> None:
        """Raise `Ended` or `Moved` for a status outside 2xx."""
        if 300 <= answer.status < 400 and answer.header("location"):
            raise Moved(answer.header("location"))
        if answer.status == 401:
            offered = answer.headers.get("www-authenticate", ())
            raise Ended(unauthorized(offered, self._target.credentials is not None, self.is_authorized))
        if answer.status == transport.UNSUPPORTED:
            raise TransportRefused(self._over)
        if not 200 <= answer.status < 300:
            raise Ended(refusal(answer.status), answer.status if of_setup else 0)

    def note_session(self, answer: Response) -> None:
        """Store the id and the timeout of the session, as SETUP names them."""
        name = (answer.header("session") or self.named_early).partition(";")[0].strip()[:256]
        if self.session_id and name not in ("", self.session_id):
            self._loss.meet(Oddity.OTHER_SESSION)
        self.session_id = self.session_id or name
        found = re.search(r";\s*timeout\s*=\s*(\d{1,6})", answer.header("session"), re.IGNORECASE)
        if found and int(found[1]):
            self.timeout_s = min(DEFAULT_TIMEOUT_S, float(found[1]))

    def remember_authorization(self) -> None:
        """Keep the answer to a challenge for the next connection, because the camera has hung up behind it.

        Raises `Ended` after `MAX_HANG_UPS` connections.
        """
        if self._learned.hung_up == MAX_HANG_UPS:
            raise Ended(refusal(401))
        self._loss.meet(Oddity.HANGS_UP)
        self._learned.hung_up += 1
        self._learned.authorization = self._authorization

    def _has_answer_to(self, answer: Response, is_last: bool) -> bool:
        """Whether another authorization may succeed; it is then set."""
        known, before = self._target.credentials, self._authorization
        if known is None:
            return False
        offered = answer.headers.get("www-authenticate", ())
        challenge, refused = choose_next(
            offered, known, before.challenge if before else None, is_last, self._learned.refused
        )
        if challenge is None:
            return False
        if refused:
            self._loss.meet(Oddity.DIGEST)
            self._learned.refused |= {refused}
        self._authorization, self._is_challenged = Authorization(known, challenge), True
        return True

    def _go_on(self, answer: Response | None = None) -> None:
        """Run the next step of the dialogue."""
        before, self.pending = self.pending, None
        try:
            asked = next(self._dialogue) if answer is None else self._dialogue.send(answer)
        except StopIteration:
            return
        if asked is None:
            self.pending = before
            return
        if before is not None and answer is None:
            self._given_up.append(before.number)
        is_challenged, self._is_challenged = self._is_challenged, False
        self._number += 1
        self._unasked = 0
        headers = {"CSeq": str(self._number), "User-Agent": AGENT, **asked.headers}
        if self.session_id:
            headers["Session"] = self.session_id
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.header(asked.method, asked.url)
        self.outgoing += encode_request(asked.method, asked.url, headers)
        due = self.now + asked.share * self._timeouts.answer_s
        self.pending = PendingRequest(asked, self._number, self.now, due, is_challenged)

    def _is_awaited(self, answer: Response, asked: int) -> bool:
        """Whether a response belongs to the request with the number `asked`. Numbers count until one is wrong."""
        if answer.status < 200:
            return False
        text = answer.header("cseq")
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
        if answer.is_http:
            if number != asked and not self.playing:
                raise ProtocolError(NOT_RTSP)
            self._loss.meet(Oddity.HTTP_STATUS)
            return number == asked
        if not text or number == asked:
            return True
        if self._counts and (number in self._given_up or answer == self._last):
            return False
        self._counts = False
        self._loss.meet(Oddity.CSEQ)
        return True

    def _count_unasked(self) -> None:
        """Count a message that answers no request. Raises `Ended` above `MAX_UNASKED`."""
        self._unasked += 1
        if self._unasked > MAX_UNASKED:
            raise Ended(UNASKED_MESSAGES)

    def _answer(self, request: RtspRequest) -> None:
        """Answer a request of the camera. Raises `Ended` for TEARDOWN, `Moved` for REDIRECT."""
        headers = {"CSeq": request.header("cseq")[:20]}
        known = request.method in _OURS.split(", ")
        if request.method == "OPTIONS":
            headers["Public"] = _OURS
        self.outgoing += encode_response("200 OK" if known else "501 Not Implemented", headers)
        if request.method == "TEARDOWN":
            self.session_id = ""
            raise Ended(STREAM_ENDED)
        if request.method == "REDIRECT":
            raise Moved(request.header("location"))
