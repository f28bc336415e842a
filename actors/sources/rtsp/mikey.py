"""MIKEY: the messages in which a camera and banken name the keys of encrypted media. Pure.

Rules of this file:
- Only keys that a message carries in the clear are read: TLS protects the message. Other keys are refused.
- Each byte is read once, and a message is bounded. No error quotes the message.

Source: RFC 3830, sections 6.1 (header), 6.2 and 6.13 (keys), 6.10 (policy); RFC 4563, section 5 (empty map).
"""

import struct
from collections.abc import Mapping

import attrs

MAX_BYTES = 4096
"""Limit of a message: cameras send about 120 bytes."""
MAX_PAYLOADS = 64
TAG, SHORT_TAG = 10, 4
"""Bytes of an authentication tag: HMAC-SHA1-80 and HMAC-SHA1-32."""
SALT = 14
"""Bytes of a master salt (RFC 3711, section 8.2)."""
KEY_SIZES = (16, 24, 32)
"""Bytes of a master key: AES-128, AES-192 and AES-256 (RFC 3711; RFC 6188)."""

_KEMAC, _TIME, _POLICY, _RANDOM = 1, 5, 10, 11
_AUTH_KEY_SIZE, _TAG_SIZE = 3, 11
_SUPPORTED = {
    0: (1,),  # the cipher: AES in counter mode
    1: KEY_SIZES,
    2: (1,),  # authentication: HMAC-SHA1
    4: (SALT,),
    5: (0,),  # the derivation of keys: AES in counter mode, once
    6: (0,),
    7: (1,),  # RTP is encrypted, RTCP is encrypted, RTP is authenticated
    8: (1,),
    10: (1,),
    _TAG_SIZE: (TAG, SHORT_TAG),
}
"""The values of the policy's parameters that are supported; others do not matter here."""
_TEK, _TEK_AND_SALT = 2, 3


class MikeyError(ValueError):
    """A message without a usable key. Its text is for people."""


@attrs.frozen
class MasterKey:
    """The key from which SRTP derives its keys."""

    key: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    tag: int = TAG
    """Bytes of the tag behind each RTP packet."""
    mki: bytes = b""
    """The name of the key, in front of each tag."""
    rollovers: Mapping[int, int] = attrs.field(factory=dict)
    """For each known SSRC, how often its sequence number has begun again."""


def parse(data: bytes) -> MasterKey:
    """Return the first key in a message. Raises `MikeyError`."""
    if len(data) > MAX_BYTES:
        raise MikeyError("its MIKEY message is too long")
    try:
        return _parse(data)
    except (struct.error, IndexError):
        raise MikeyError("its MIKEY message is cut short") from None


def _parse(data: bytes) -> MasterKey:
    version, kind, payload, _, _, streams, map_kind = struct.unpack_from(">BBBBIBB", data)
    if version != 1 or kind != 0 or map_kind > 1:
        raise MikeyError("its MIKEY message is of an unknown kind")
    at, rollovers = 10, dict[int, int]()
    for _ in range(streams if map_kind == 0 else 0):
        _, ssrc, rollovers[ssrc] = struct.unpack_from(">BII", data, at)
        at += 9
    policy, key = b"", None
    for _ in range(MAX_PAYLOADS):
        if payload == 0:
            break
        content, end = _bounds(data, at, payload)
        if end > len(data):
            raise IndexError
        if payload == _POLICY and data[at + 2] == 0:  # the policy of SRTP
            policy = policy or data[at + 5 : end]
        elif payload == _KEMAC and key is None:
            if data[at + 1]:
                raise MikeyError("its MIKEY message hides the key behind another one")
            key = _read_key(data[at + 4 : content])
        payload, at = data[at], end
    if key is None:
        raise MikeyError("its MIKEY message has no key")
    return attrs.evolve(key, tag=_read_policy(policy), rollovers=rollovers)


def _bounds(data: bytes, at: int, payload: int) -> tuple[int, int]:
    """Return where the content of a payload ends, and the payload itself. Raises `MikeyError` and `IndexError`."""
    match payload:
        case 1:  # keys, and behind them the kind of their authentication
            end = at + 4 + int.from_bytes(data[at + 2 : at + 4])
            return end, end + (21 if data[end] else 1)
        case 5:  # a time or a counter
            end = at + (6 if data[at + 1] == 2 else 10)
        case 6 | 7 | 21:  # an identity, a certificate, an extension
            end = at + 4 + int.from_bytes(data[at + 2 : at + 4])
        case 9:  # a verification
            end = at + (22 if data[at + 1] else 2)
        case 10:
            end = at + 5 + int.from_bytes(data[at + 3 : at + 5])
        case 11:  # random bytes
            end = at + 2 + data[at + 1]
        case _:
            raise MikeyError("its MIKEY message is of an unknown kind")
    return end, end


def _read_policy(data: bytes) -> int:
    """Return the bytes of the tag. Raises `MikeyError` for an unsupported policy."""
    at, tag = 0, 0
    while at < len(data):
        kind, size = data[at], data[at + 1]
        value = int.from_bytes(data[at + 2 : at + 2 + size])
        at += 2 + size
        if at > len(data):
            raise IndexError
        if kind in _SUPPORTED and value not in _SUPPORTED[kind]:
            raise MikeyError("it demands another cipher than AES in counter mode with HMAC-SHA1")
        if kind == _TAG_SIZE:
            tag = value
        elif kind == _AUTH_KEY_SIZE and value == SHORT_TAG:  # GStreamer names the size of the tag there
            tag = tag or SHORT_TAG
    return tag or TAG


def _read_key(data: bytes) -> MasterKey:
    """Return the first key; those behind it are for later."""
    kind, validity, size = data[1] >> 4, data[1] & 0x0F, int.from_bytes(data[2:4])
    at = 4 + size
    key, salt = data[4:at], b""
    if kind == _TEK_AND_SALT:
        size = int.from_bytes(data[at : at + 2])
        salt = data[at + 2 : at + 2 + size]
        at += 2 + size
    elif kind == _TEK:  # cameras append the salt to the key
        key, salt = key[:-SALT], key[-SALT:]
    else:
        raise MikeyError("its MIKEY message has a key of an unknown kind")
    mki = b""
    if validity == 1:
        mki = data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    if at > len(data):
        raise IndexError
    if len(key) not in KEY_SIZES or len(salt) != SALT:
        raise MikeyError("its MIKEY message has a key of an unknown size")
    return MasterKey(key, salt, mki=mki)


def build(key: MasterKey, ssrc: int, ntp: int, entropy: bytes) -> bytes:
    """Return a message with our key for reports under `ssrc`.

    `ntp` is the time in 1/2**32 s since 1900, and `entropy` 20 random bytes. A camera may demand that its clock
    differs by no more than an hour.
    """
    values = {0: 1, 1: len(key.key), 2: 1, 7: 1, 8: 1, 10: 1, _TAG_SIZE: key.tag}
    policy = b"".join(bytes((kind, 1, value)) for kind, value in values.items())
    secret = key.key + key.salt
    named = bytes((len(key.mki),)) + key.mki if key.mki else b""
    inner = struct.pack(">BBH", 0, _TEK << 4 | bool(key.mki), len(secret)) + secret + named
    return b"".join((
        struct.pack(">BBBB4sBBBII", 1, 0, _TIME, 0, entropy[:4], 1, 0, 0, ssrc, 0),
        struct.pack(">BBQ", _RANDOM, 0, ntp),
        struct.pack(">BB16s", _POLICY, 16, entropy[4:20]),
        struct.pack(">BBBH", _KEMAC, 0, 0, len(policy)), policy,
        struct.pack(">BBH", 0, 0, len(inner)), inner, b"\0",
    ))  # fmt: skip
