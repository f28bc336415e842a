"""SRTP and SRTCP of one track: decrypt the camera's packets, encrypt our reports. Pure.

Rules of this file:
- A packet that is not authentic, or that came before, yields nothing. Nothing is stored for it.
- Imported through `encrypted` only: the library of ciphers takes longer to load than the loop may wait.

pylibsrtp takes neither a rollover counter, nor a name of the key, nor packets above 1500 bytes. A stream that has run
for some minutes has a rollover counter above 0.
Source: RFC 3711, sections 3.3 (packets), 3.4 (SRTCP), 4.1.1 (cipher), 4.2 (tags), 4.3 (keys); RFC 6188 (longer keys).
"""

import hmac

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .mikey import TAG, MasterKey

MAX_STREAMS = 64
"""Limit of SSRCs of one track. Beyond it, the one that began first is forgotten."""
WINDOW = 128
"""Packets behind the newest one that may still arrive."""


class _Keys:
    """The three keys of RTP (`label` 0) or RTCP (`label` 3), and their use."""

    def __init__(self, master: MasterKey, label: int) -> None:
        salt = int.from_bytes(master.salt)

        def derive(number: int, size: int) -> bytes:
            start = (salt ^ (label + number) << 48) << 16
            return Cipher(AES(master.key), CTR(start.to_bytes(16))).encryptor().update(bytes(size))

        self._key, self._secret = derive(0, len(master.key)), derive(1, 20)
        self._salt = int.from_bytes(derive(2, 14))
        self._cipher = Cipher(AES(self._key), CTR(bytes(16))).encryptor()

    def tag(self, data: bytes) -> bytes:
        """Return the complete tag, 20 bytes."""
        return hmac.digest(self._secret, data, "sha1")

    def encrypt(self, ssrc: int, index: int, data: bytes) -> bytes:
        """Encrypt or decrypt the content of packet number `index`."""
        self._cipher.reset_nonce(((self._salt ^ ssrc << 48 ^ index) << 16).to_bytes(16))
        return self._cipher.update(data)


@attrs.define
class _Stream:
    """The packets of one SSRC."""

    newest: int
    """The highest index: the rollover counter and the sequence number."""
    _seen: int = 1
    """The last `WINDOW` indices, a bit for each; the lowest bit is the newest."""

    def index(self, sequence: int) -> int:
        """Return the index next to the newest one that ends with `sequence`."""
        index = self.newest + ((sequence - self.newest + 0x8000) & 0xFFFF) - 0x8000
        return index & 0xFFFF_FFFF_FFFF

    def accept(self, index: int) -> bool:
        """Note an authentic packet. Returns whether it is new."""
        ahead = index - self.newest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self.newest = index
            return True
        if ahead <= -WINDOW or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class Srtp:
    """Both directions of one track. `failed` counts the packets without a valid tag since the last valid one."""

    def __init__(self, theirs: MasterKey, ours: MasterKey) -> None:
        self.failed = 0
        self._rtp, self._rtcp, self._ours = _Keys(theirs, 0), _Keys(theirs, 3), _Keys(ours, 3)
        self._tag, self._mki, self._our_mki = theirs.tag, len(theirs.mki), ours.mki
        self._rollovers = theirs.rollovers
        self._streams: dict[int, _Stream] = {}
        self._reports = 0

    @property
    def has_begun(self) -> bool:
        """Whether a packet of RTP was authentic."""
        return bool(self._streams)

    def unprotect(self, data: bytes) -> bytes | None:
        """Return an RTP packet decrypted; None if it is not authentic, or came before."""
        end, at = len(data) - self._tag - self._mki, _header_size(data)
        if not 12 <= at <= end:
            self.failed += 1
            return None
        sequence, ssrc, tag = int.from_bytes(data[2:4]), int.from_bytes(data[8:12]), data[-self._tag :]
        stream, body = self._streams.get(ssrc), data[:end]
        indices = (stream.index(sequence),) if stream is not None else self._first(ssrc, sequence)
        for index in indices:
            if hmac.compare_digest(self._rtp.tag(body + (index >> 16).to_bytes(4))[: self._tag], tag):
                break
        else:
            self.failed += 1
            return None
        self.failed = 0
        if stream is None:
            self._begin(ssrc, index)
        elif not stream.accept(index):
            return None
        return body[:at] + self._rtp.encrypt(ssrc, index, body[at:])

    def _first(self, ssrc: int, sequence: int) -> tuple[int, ...]:
        """Return possible indices of a stream's first packet; its counter may have moved since it was named."""
        named = self._rollovers.get(ssrc, 0)
        return tuple(dict.fromkeys(rollover << 16 | sequence for rollover in (named, min(named + 1, 2**32 - 1), 0)))

    def _begin(self, ssrc: int, index: int) -> None:
        if len(self._streams) >= MAX_STREAMS:
            del self._streams[next(iter(self._streams))]
        self._streams[ssrc] = _Stream(index)

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """Return an RTCP packet decrypted; None if it is not authentic."""
        for tag in dict.fromkeys((TAG, self._tag)):  # with short tags for RTP, both occur
            end = len(data) - tag - self._mki
            if end >= 12 and hmac.compare_digest(self._rtcp.tag(data[:end])[:tag], data[-tag:]):
                break
        else:
            return None
        index, body = int.from_bytes(data[end - 4 : end]), data[8 : end - 4]
        if index >> 31:
            body = self._rtcp.encrypt(int.from_bytes(data[4:8]), index & 0x7FFFFFFF, body)
        return data[:8] + body

    def protect_rtcp(self, data: bytes) -> bytes:
        """Return one of our RTCP packets encrypted."""
        self._reports += 1
        body = self._ours.encrypt(int.from_bytes(data[4:8]), self._reports, data[8:])
        packet = data[:8] + body + (0x80000000 | self._reports).to_bytes(4)
        return packet + self._our_mki + self._ours.tag(packet)[:TAG]


def _header_size(data: bytes) -> int:
    """Return the bytes of an RTP packet that are not encrypted; 0 if it has no valid header."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return 0
    at = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
    return at
