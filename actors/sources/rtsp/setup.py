"""SETUP: the requests that open the video, and then the audio. Sans-I/O.

Rules of this file:
- A medium is requested at each address under which it may be found, until the camera knows one.
- If the video is refused over this transport, `TransportRefused` asks for another one. Refused audio is left out.
- If the connection has TLS, its datagrams must be encrypted, too.

Source: RFC 2326, sections 10.4 (SETUP) and 12.39 (Transport).
"""

from collections.abc import Generator, Sequence

from ...media.oddities import Oddity
from . import transport, transport_header
from .address import candidates
from .choice import Audio, Video
from .context import SessionContext
from .encrypted import KEY_MANAGEMENT_FAILURE, Decryptor, KeyExchange, NoKeys
from .exchange import Asking, Dialogue, Exchange, RequestDraft
from .memory import OptionalStep
from .messages import Response
from .reasons import NO_ANSWER, WRONG_KEYS, Ended, no_keys, refusal
from .sdp import Media
from .tracks import Tracks
from .transport import TransportRefused
from .transport_header import TransportHeader

_NO_SUCH_TRACK = 404
_NOT_FOR_ADDRESS = frozenset((401, 403, 406, 453, 461))
"""Statuses of a refused SETUP that have another cause than its address."""


class TrackSetup:
    """Sets up the tracks of one session. `base` is that of the control addresses, `presentation` that of the whole."""

    def __init__(self, context: SessionContext, exchange: Exchange, tracks: Tracks) -> None:
        self.base = self.whole = context.target.url
        """`whole`: the address of the whole presentation."""
        self.presentation = ""
        self.addresses: list[str] = []
        """Those of the media that are set up."""
        self._context, self._exchange, self._tracks = context, exchange, tracks
        self._target, self._over, self._ports = context.target, context.over, context.ports
        self._sink, self._loss, self._facts = context.sink, context.loss, context.facts
        self._decryptor: Decryptor | None = None
        """Of the medium that was set up last."""

    def set_up_video(self, videos: Sequence[Video]) -> Dialogue:
        """Set up the first of `videos` that the camera has."""
        for video, is_last in zip(videos, (*[False] * (len(videos) - 1), True), strict=True):
            if "?" in (self.presentation[:1], video.media.control[:1]):
                self._loss.meet(Oddity.QUERY_CONTROL)
            places = candidates(self.base, self._target.url, self.presentation, video.media.control)
            answer, header = yield from self._set_up(video.media, places, has_next=not is_last)
            if answer.status == _NO_SUCH_TRACK and not is_last:
                continue
            self._exchange.require(answer, of_setup=True)
            if header is None:
                raise Ended(NO_ANSWER)
            self._sink.set_transport(self._over, f"RTP over {transport.NAMES[self._over]}")
            if video is not videos[0]:
                self._loss.meet(Oddity.OTHER_TRACK)
            self._tracks.add_video(video, header.ssrc, self._decryptor)
            return

    def set_up_audio(self, audio: Audio) -> Generator[RequestDraft | None, Response, str]:
        """Return the reason why there is no audio, for people; empty if there is."""
        places = candidates(self.base, self._target.url, self.presentation, audio.media.control)
        places.sort(key=lambda place: place[1] != self.whole)
        try:
            answer, header = yield from self._set_up(audio.media, places, OptionalStep.AUDIO)
        except NoKeys:
            return "there is no key for the camera's encrypted audio"
        if header is not None:
            self._tracks.add_audio(audio, header.ssrc, self._decryptor)
            return ""
        if 200 <= answer.status < 300:
            return "the camera sends its audio on the channels of the video"
        self._exchange.refused.add(OptionalStep.AUDIO)
        return f"the camera refuses its audio with status {answer.status}"

    def _set_up(
        self,
        media: Media,
        places: Sequence[tuple[str, str]],
        step: OptionalStep | None = None,
        has_next: bool = False,
    ) -> Generator[RequestDraft | None, Response, tuple[Response, TransportHeader | None]]:
        """Set up one medium at the first of `places` that the camera knows: an address, and that of the whole.

        Returns the response, and its `Transport` if the track now has its own channels or ports. With `has_next`,
        another track comes before another transport.
        """
        index, at = len(self._tracks), 0
        asked = transport_header.write(self._over, media.profile, index, self._ports[index] if self._ports else None)
        keys, must_encrypt = self._exchange_keys(media), self._target.tls and not self._context.is_interleaved
        if must_encrypt and keys is None:
            raise NoKeys(no_keys("it names no key")) if index else TransportRefused(self._over, 0)
        answer = yield from self._ask(places[at][0], asked, keys, step)
        while answer.status >= 400 and answer.status not in _NOT_FOR_ADDRESS and at + 1 < len(places):
            at += 1
            answer = yield from self._ask(places[at][0], asked, keys, step)
        is_left_to_next = has_next and answer.status == _NO_SUCH_TRACK
        if index == 0 and not is_left_to_next and transport.is_refusal(answer.status, self._over, self._context.played):
            is_certain = answer.status in (transport.UNSUPPORTED, transport.NOT_ACCEPTABLE)
            raise TransportRefused(self._over, answer.status, None if is_certain else refusal(answer.status))
        if not 200 <= answer.status < 300:
            return answer, None
        if at > 0:
            self._loss.meet(Oddity.ODD_BASE)
        if index == 0:
            self.whole = places[at][1]
        self.addresses.append(places[at][0])
        self._exchange.note_session(answer)
        header = TransportHeader.parse(answer.header("transport"))
        give_up = self._give_up_audio if index else self._give_up_video
        self._decryptor = (
            keys.finish(answer, header, self._loss, self._tracks.spend, give_up, may_be_plain=not must_encrypt)
            if keys
            else None
        )
        if not index and self._decryptor is not None:
            self._facts.note(encryption="SRTP")
        return answer, header if self._tracks.find_place(header, media) else None

    def _ask(self, url: str, over: str, keys: KeyExchange | None, step: OptionalStep | None) -> Asking:
        headers = {"Transport": over}
        if keys is not None:
            headers["KeyMgmt"] = keys.header(url)
        answer = yield from self._exchange.ask("SETUP", url, headers, step)
        if keys is not None and answer.status == KEY_MANAGEMENT_FAILURE:
            answer = yield from self._exchange.ask("SETUP", url, {**headers, "KeyMgmt": keys.impose(url)}, step)
        return answer

    def _exchange_keys(self, media: Media) -> KeyExchange | None:
        if not media.is_encrypted:
            return None
        return KeyExchange(media, self._context.cipher(), self._context.ssrc_of(len(self._tracks)))

    def _give_up_video(self) -> None:
        raise Ended(WRONG_KEYS)

    def _give_up_audio(self) -> None:
        self._sink.set_audio(None, "the camera's audio is encrypted, and its keys do not fit")
