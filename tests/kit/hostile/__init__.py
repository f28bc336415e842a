"""All code that strangers can reach, as targets for damaged input, and the verdict on the results.

Rules of this file:
- An input depends on seed, target and number alone, and is judged alone, so each failure can be repeated alone.
- Only typed refusals are permitted: `OfferError`, `Rejected`, `BitstreamError`, `UnsupportedCodec`, `ConfigError`, the
  errors that end an RTSP session, a problem document, a close code. Any other exception is a failure, and so is a
  duration of `PATIENCE_S`.
- A refused input must not change any state.
"""

from functools import partial

from actors.media.bitstream import BitstreamError
from actors.media.flv import UnsupportedCodec
from actors.sources.rtsp.mikey import MikeyError
from supervisor.config.problem_text import ConfigError
from supervisor.domain.errors import Rejected
from supervisor.ports.viewing import OfferError

from .cameras import ENDS, descriptions, make_conversation, rtp_streams, take_description, take_rtp, take_rtsp
from .cameras import frames as interleaved
from .dialogues import addresses, challenges, logins, take_addresses, take_challenge, take_login
from .judge import Target
from .keys import messages, pieces, take_key
from .old_codecs import make_pictures, take_pictures
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
from .payloads import make_payloads, take_payloads
from .readers import CONVERSATIONS as READERS
from .readers import open_readers
from .rooms import CONVERSATIONS, open_signaling
from .rooms import FRAMES as ROOM_FRAMES
from .transports import ANSWERS, take_answer
from .transports import ENDS as TUNNEL_ENDS
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
    Target("addresses", 20, from_corpus(addresses), plain(take_addresses)),
    Target("challenges", 20, from_corpus(challenges), plain(take_challenge)),
    Target("logins", 20, from_corpus(logins), plain(take_login)),
    Target("transport", 30, from_corpus(lambda: ANSWERS), plain(take_answer, *TUNNEL_ENDS)),
    Target("keys", 40, from_corpus(messages, pieces), plain(take_key, MikeyError)),
    Target("payloads", 30, make_payloads, plain(take_payloads)),
    Target("pictures", 20, make_pictures, plain(take_pictures)),
    Target("config", 8, make_config, plain(take_config, ConfigError)),
    Target("http", 10, from_corpus(lambda: REQUESTS, most=3), open_http),
    Target("websocket", 5, from_corpus(lambda: FRAMES, frames, most=3), open_websocket),
    Target("signaling", 20, from_corpus(lambda: CONVERSATIONS, most=3), open_signaling),
    Target("rooms", 4, from_corpus(lambda: ROOM_FRAMES, frames, most=3), partial(open_websocket, ROOMS)),
    Target("readers", 6, from_corpus(lambda: READERS), open_readers),
    Target("answer", 1, make_acceptable, open_answers),
)


def shares(inputs: int) -> dict[str, int]:
    """Distribute a number of inputs over the targets."""
    whole = sum(target.share for target in TARGETS)
    return {target.name: max(1, inputs * target.share // whole) for target in TARGETS}
