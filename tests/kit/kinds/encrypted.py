"""Cameras that encrypt their media: where they name the key, and which key it is."""

from collections.abc import Iterator, Sequence
from typing import Any

from actors.sources.rtsp.mikey import MasterKey

from ..cases.dialogue import Rule
from ..cases.form import Case, Expect
from ..srtp import crypto, encrypt_frames, mikey
from .packets import Sender
from .streams import encode
from .talk import HEAD, SESSION, TRACK, Kind, answer, media, send, show, talk

KEY = MasterKey(bytes(range(16)), bytes(range(14)))
SHORT, NAMED = MasterKey(KEY.key, KEY.salt, 4), MasterKey(KEY.key, KEY.salt, mki=b"\0\0\0\7")
LONG = MasterKey(bytes(range(32)), KEY.salt)
SAVP = "RTP/SAVP/TCP;unicast;interleaved=0-1"
SAYS_SO = Expect(reason_mentions_any=("encrypted",))


def encrypted(
    *keys: str, key: MasterKey = KEY, rollover: int = 0, profile: str = "RTP/SAVP", head: Sequence[str] = HEAD,
    rules: Sequence[Rule] = (), codec: str = "h264", **other: Any,
) -> Case:  # fmt: skip
    """Return a case whose description has these lines of keys, and whose packets are encrypted with `key`."""
    body = (*head, *media(codec, protocol=profile), *keys)
    sent = [encrypt_frames(picture, key, rollover) for picture in send(codec, encode(codec))]
    return show(codec, sent, talk(body, *rules, transport=SAVP.replace("RTP/SAVP", profile)), **other)


def kinds() -> Iterator[Kind]:
    ssrc, line = Sender().ssrc, f"a=key-mgmt:mikey {mikey(KEY, Sender().ssrc)}"
    yield Kind("key by MIKEY in the medium", "RTP/SAVP", "mediamtx strict encryption", encrypted(line))
    yield Kind("key by MIKEY in the session", "RTP/SAVP", "", encrypted(head=(*HEAD, line)))
    yield Kind("encrypted H.265", "RTP/SAVP", "", encrypted(line, codec="h265"))
    yield Kind("key by MIKEY and RTP/SAVPF", "RTP/SAVPF", "", encrypted(line, profile="RTP/SAVPF"))
    header = f'KeyMgmt: prot=mikey;uri="{TRACK}";data="{mikey(KEY, ssrc)}"'
    in_answer = Rule("SETUP", url=TRACK, **answer(f"Transport: {SAVP}", SESSION, header))
    yield Kind("key in the answer to SETUP", "header KeyMgmt", "mediamtx", encrypted(rules=[in_answer]))
    yield Kind(
        "a stream that has run for a while",
        "rollover counter 3 in MIKEY",
        "mediamtx after some minutes",
        encrypted(f"a=key-mgmt:mikey {mikey(KEY, ssrc, 3)}", rollover=3),
    )
    yield Kind(
        "a rollover counter that has moved",
        "3 in MIKEY, 4 in the packets",
        "",
        encrypted(f"a=key-mgmt:mikey {mikey(KEY, ssrc, 3)}", rollover=4),
    )
    yield Kind("tags of 32 bits by MIKEY", "HMAC-SHA1-32", "", encrypted(f"a=key-mgmt:mikey {mikey(SHORT)}", key=SHORT))
    yield Kind("AES-256 by MIKEY", "a key of 32 bytes", "", encrypted(f"a=key-mgmt:mikey {mikey(LONG)}", key=LONG))
    yield Kind("key with a name by MIKEY", "MKI", "", encrypted(f"a=key-mgmt:mikey {mikey(NAMED)}", key=NAMED))
    yield Kind("key in a=crypto", "AES_CM_128_HMAC_SHA1_80", "", encrypted(crypto(KEY)))
    yield Kind(
        "key in a=crypto, tags of 32 bits",
        "AES_CM_128_HMAC_SHA1_32",
        "",
        encrypted(crypto(SHORT, "AES_CM_128_HMAC_SHA1_32"), key=SHORT),
    )
    yield Kind(
        "key in a=crypto with lifetime and name",
        "|2^31|7:4",
        "",
        encrypted(crypto(NAMED, behind="|2^31|7:4"), key=NAMED),
    )
    yield Kind(
        "two lines of a=crypto, the first unknown",
        "AEAD_AES_256_GCM in front",
        "",
        encrypted("a=crypto:1 AEAD_AES_256_GCM inline:AAAA", crypto(KEY)),
    )
    plain = (*HEAD, *media(protocol="RTP/SAVP"))
    yield Kind("RTP/SAVP that is not encrypted", "the answer says RTP/AVP", "", show(rules=talk(plain)))
    yield Kind(
        "a key, and an answer that denies it",
        "MIKEY, and RTP/AVP in the answer",
        "",
        show(
            sent=[encrypt_frames(picture, KEY) for picture in send("h264", encode("h264"))], rules=talk((*plain, line))
        ),
    )
    yield Kind(
        "RTP/SAVP without a key", "nobody could decrypt it", "UniFi enableSrtp (go2rtc#81)",
        encrypted(expect=SAYS_SO), "the reason names encryption, and what helps",
    )  # fmt: skip
    yield Kind(
        "a key that does not fit", "another key in the packets", "",
        encrypted(line, key=MasterKey(bytes(16), bytes(14)), expect=SAYS_SO, loop=True, within_s=8.0),
        "the reason names encryption",
    )  # fmt: skip
