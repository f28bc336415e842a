"""Decides which stream of a camera a consumer gets: the camera's own, or its rendition, which a transcoder makes. Pure.

Rules of this file:
- A transcoder costs a part of a processor, so the camera's own stream comes first wherever it can be shown.
- A peer of a browser shows B-frames jerkily. Other players (RTSP) show them, so they get them as they are.
- Where there is no rendition, a consumer gets the camera's own stream if it takes its codec; otherwise nothing.
"""

from collections.abc import Collection
from enum import StrEnum

import attrs

from .errors import Refusal, Rejected
from .ids import CameraId
from .state import VIDEO, State
from .substreams import takes, tried
from .values import Fault, Picture, Reason, Transcode, name_of
from .words import plural

BUSY_S = 5.0
"""After which a viewer may ask again that was refused for want of a transcoder."""
RENDITION_CODEC = "h264"
"""The codec of all renditions."""


class Consumer(StrEnum):
    """A reader of a stream of a camera."""

    PEER = "peer"
    """A WebRTC peer."""
    PLAYER = "player"
    """A program that shows B-frames in order: a reader of RTSP."""


class ServedStream(StrEnum):
    """A stream of a camera."""

    OWN = "own"
    """The video as the camera sends it."""
    RENDITION = "rendition"
    """H.264 without B-frames, made by a transcoder."""
    NONE = "none"
    """Nothing can be shown."""


class Fit(StrEnum):
    """How the camera's own stream suits a consumer."""

    SHOWN = "shown"
    B_FRAMES = "b-frames"
    """It takes the codec, but there are B-frames."""
    UNKNOWN_CODEC = "unknown-codec"
    """It does not take the codec."""


_OWN, _MADE, _NONE = ServedStream
CHOICES: dict[tuple[Consumer, Transcode], dict[Fit, ServedStream]] = {
    (consumer, transcode): dict(zip(Fit, streams, strict=True))
    for consumer, transcode, *streams in (
        #                                     SHOWN  B_FRAMES  UNKNOWN_CODEC
        (Consumer.PEER,   Transcode.AUTO,      _OWN,  _MADE,    _MADE),
        (Consumer.PEER,   Transcode.NEVER,     _OWN,  _OWN,     _NONE),
        (Consumer.PEER,   Transcode.ALWAYS,    _MADE, _MADE,    _MADE),
        (Consumer.PLAYER, Transcode.AUTO,      _OWN,  _OWN,     _MADE),
        (Consumer.PLAYER, Transcode.NEVER,     _OWN,  _OWN,     _NONE),
        (Consumer.PLAYER, Transcode.ALWAYS,    _OWN,  _OWN,     _MADE),
    )
}  # fmt: skip
"""The stream, where a rendition is possible."""


_LACKS = {Consumer.PEER: "this viewer did not offer", Consumer.PLAYER: "RTSP does not carry here"}


@attrs.frozen
class Choice:
    """The stream that a consumer gets, and for a rendition why."""

    stream: ServedStream
    why: Reason | None = None


def choose(
    consumer: Consumer, transcode: Transcode, picture: Picture | None, codecs: Collection[str], *, possible: bool = True
) -> Choice:
    """Return the stream for a consumer.

    Args:
        picture: the format of the camera's video; None while it is unknown, which counts as suitable.
        codecs: the video codecs that the consumer takes.
        possible: whether a transcoder may run for the camera now.
    """
    fit = _fit(picture, codecs)
    stream = CHOICES[consumer, transcode][fit]
    if stream is ServedStream.RENDITION and not (possible and RENDITION_CODEC in codecs):
        stream = CHOICES[consumer, Transcode.NEVER][fit]
    return Choice(stream, _why(consumer, fit, picture) if stream is ServedStream.RENDITION else None)


def _fit(picture: Picture | None, codecs: Collection[str]) -> Fit:
    if picture is None:
        return Fit.SHOWN
    if picture.codec not in codecs:
        return Fit.UNKNOWN_CODEC
    return Fit.B_FRAMES if picture.b_frames else Fit.SHOWN


def _why(consumer: Consumer, fit: Fit, picture: Picture | None) -> Reason:
    """Return the reason for a rendition, for people and machines."""
    if fit is Fit.B_FRAMES:
        return Reason("b-frames", "the camera sends B-frames, which browsers show jerkily", Fault.NONE)
    if fit is Fit.UNKNOWN_CODEC and picture is not None:
        return Reason("codec", f"the camera sends {name_of(picture.codec)}, which {_LACKS[consumer]}", Fault.NONE)
    return Reason("always", "transcode: always", Fault.NONE)


def camera_for(state: State, camera: CameraId, codecs: Collection[str], processors: int) -> CameraId | None:
    """Return the camera whose stream a peer gets that asks for `camera`: itself, one of its substreams, or None.

    A substream that suits comes before a rendition, unless every peer gets the rendition. Raises `Rejected` where only
    a transcoder would help, and none may start now.
    """
    names, why = tried(state, camera), None
    if names and _gets_rendition_always(state, camera, codecs) and busy(state, camera, processors) is None:
        return camera
    for name in names:
        if takes(state, name, codecs):
            return name
    for name in names:
        if _gets_rendition(state, name, codecs):
            why = busy(state, name, processors)
            if why is None:
                return name
    if why is not None:
        raise Rejected(Refusal.UNAVAILABLE, f"{camera} cannot be shown now: {why.text}", BUSY_S)
    return None


def _gets_rendition_always(state: State, camera: CameraId, codecs: Collection[str]) -> bool:
    return state.cameras[camera].settings.transcode is Transcode.ALWAYS and RENDITION_CODEC in codecs


def _gets_rendition(state: State, camera: CameraId, codecs: Collection[str]) -> bool:
    known = state.cameras[camera]
    return choose(Consumer.PEER, known.settings.transcode, known.picture, codecs).stream is ServedStream.RENDITION


def transcoding(state: State) -> set[CameraId]:
    """Return the cameras for which a video transcoder runs."""
    return {child.camera for child in state.children.values() if child.purpose == VIDEO}


def busy(state: State, camera: CameraId, processors: int) -> Reason | None:
    """Return why no transcoder may start for `camera` now; None if one may, or runs already.

    `processors`: the number of those that banken may use, which is the limit where the settings name none.
    """
    others, most = transcoding(state), state.limits.transcoders or processors
    if camera in others or len(others) < most:
        return None
    text = f"the video of {plural(len(others), 'camera')} is transcoded already; transcoder: at_once"
    return Reason("transcoders-busy", text)
