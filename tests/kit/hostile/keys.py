"""A target for the keys of encrypted media: messages of MIKEY, and the lines and headers that carry them."""

import base64
from collections.abc import Callable
from functools import cache

from actors.sources.rtsp.keys import find_key, header_with, key_in_header
from actors.sources.rtsp.mikey import KEY_SIZES, MasterKey, MikeyError, build, parse

KEY = MasterKey(bytes(range(16)), bytes(range(14)))
SIZE = 8
"""Bytes of a piece that the mutations of a message move."""


def take_key(data: bytes) -> None:
    """Read it as a message, as a line of a description and as a header. A key has the size of one."""
    text, refused = data.decode(errors="replace"), list[MikeyError]()
    readers: tuple[Callable[[], MasterKey], ...] = (
        lambda: parse(data),
        lambda: find_key([f"mikey {text}", text], [text]),
        lambda: key_in_header(text),
    )
    for read in readers:
        try:
            found = read()
        except MikeyError as error:
            refused.append(error)
            continue
        assert len(found.key) in KEY_SIZES
        assert (len(found.salt), found.tag in (4, 10), len(found.mki) < 256) == (14, True, True)
    if len(refused) == len(readers):
        raise refused[0]


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + SIZE] for at in range(0, len(data), SIZE)]


@cache
def messages() -> tuple[bytes, ...]:
    binary = [
        build(KEY, 7, 1 << 63, bytes(20)),
        build(MasterKey(bytes(32), bytes(14), 4, b"name"), 7, 1 << 63, bytes(20)),
        bytes.fromhex("010005007a23295e0200000000000700000001000000000800000000")
        + bytes.fromhex("0600ebf99d4cb05ea24c 0b010003616263 0a02aabb")
        + bytes.fromhex("010000000c000101010110020101030104 000000003800 30001000")
        + bytes(range(80)),
    ]
    secret = base64.b64encode(KEY.key + KEY.salt).decode()
    lines = [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{secret}|2^20|1:4",
        f"2 AES_CM_128_HMAC_SHA1_32 inline:{secret}",
        header_with("rtsp://192.0.2.1/track1", binary[0]),
        base64.b64encode(binary[1]).decode(),
    ]
    return (*binary, *(line.encode() for line in lines))
