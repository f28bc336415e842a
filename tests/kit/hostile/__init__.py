"""Everything of ours that strangers can reach, as targets for damaged input, and the judgement of what comes out.

Rules of this file:
- An input is made of seed, target and number alone, and is judged alone: it fails again by itself.
- Only refusals that have a type may come out: `OfferError`, `Rejected`, `BitstreamError`, `UnsupportedCodec`,
  `ConfigError`, what ends an RTSP session, a problem document, a close code. Anything else is a failure, and so is what
  takes `PATIENCE_S`.
- What was refused has changed nothing.
"""

from functools import partial

from actors.bitstream import BitstreamError
from actors.flv import UnsupportedCodec
from supervisor.config import ConfigError
from supervisor.domain.errors import Rejected
from supervisor.gateway import OfferError

from .cameras import ENDS, descriptions, make_conversation, rtp_streams, take_description, take_rtp, take_rtsp
from .cameras import frames as interleaved
from .judge import Target
from .parsers import (
    FRAGMENTS,
    from_corpus,
    make_config,
    nals,
    offers,
    pictures,
    plain,
    streams,
    tags,
    take_config,
    take_flv,
    take_fragment,
    take_h264,
    take_offer,
)
from .rooms import CONVERSATIONS, open_signaling
from .rooms import FRAMES as ROOM_FRAMES
from .viewers import make_acceptable, open_answers
from .web import FRAMES, REQUESTS, ROOMS, frames, open_http, open_websocket

TARGETS = (
    Target("offer", 50, from_corpus(offers), plain(take_offer, OfferError)),
    Target("fragment", 86, from_corpus(lambda: FRAGMENTS), plain(take_fragment, OfferError, Rejected)),
    Target("flv", 22, from_corpus(streams, tags), plain(take_flv, BitstreamError, UnsupportedCodec)),
    Target("h264", 18, from_corpus(pictures, nals), plain(take_h264, BitstreamError)),
    Target("rtsp", 30, make_conversation, plain(take_rtsp, *ENDS)),
    Target("sdp", 20, from_corpus(descriptions), plain(take_description, *ENDS)),
    Target("rtp", 30, from_corpus(rtp_streams, interleaved), plain(take_rtp)),
    Target("config", 8, make_config, plain(take_config, ConfigError)),
    Target("http", 10, from_corpus(lambda: REQUESTS, most=3), open_http),
    Target("websocket", 5, from_corpus(lambda: FRAMES, frames, most=3), open_websocket),
    Target("signaling", 20, from_corpus(lambda: CONVERSATIONS, most=3), open_signaling),
    Target("rooms", 4, from_corpus(lambda: ROOM_FRAMES, frames, most=3), partial(open_websocket, ROOMS)),
    Target("answer", 1, make_acceptable, open_answers),
)


def shares(inputs: int) -> dict[str, int]:
    """How many of so many inputs each target gets."""
    whole = sum(target.share for target in TARGETS)
    return {target.name: max(1, inputs * target.share // whole) for target in TARGETS}
