"""Encrypted media as a camera sends them, and the lines that name their key."""

import base64

from actors.sources.rtsp.mikey import MasterKey, build
from actors.sources.rtsp.srtp import _Keys


def encrypt(packet: bytes, master: MasterKey, rollover: int = 0) -> bytes:
    """Encrypt an RTP packet of a camera whose sequence number has begun again `rollover` times."""
    keys, index = _Keys(master, 0), rollover << 16 | int.from_bytes(packet[2:4])
    body = packet[:12] + keys.encrypt(int.from_bytes(packet[8:12]), index, packet[12:])
    return body + master.mki + keys.tag(body + rollover.to_bytes(4))[: master.tag]


def encrypt_frames(data: bytes, master: MasterKey, rollover: int = 0) -> bytes:
    """Encrypt the RTP packets of interleaved frames (RFC 2326, section 10.12)."""
    at, made = 0, b""
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4])
        packet = encrypt(data[at + 4 : end], master, rollover)
        made += data[at : at + 2] + len(packet).to_bytes(2) + packet
        at = end
    return made


def mikey(master: MasterKey, ssrc: int = 1, rollover: int = 0) -> str:
    """Return a message with the key, in base64."""
    message = bytearray(build(master, ssrc, 1 << 63, bytes(20)))
    message[15:19] = rollover.to_bytes(4)
    return base64.b64encode(message).decode()


def crypto(master: MasterKey, suite: str = "AES_CM_128_HMAC_SHA1_80", behind: str = "") -> str:
    """Return the attribute `crypto` with the key."""
    return f"a=crypto:1 {suite} inline:{base64.b64encode(master.key + master.salt).decode()}{behind}"
