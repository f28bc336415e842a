"""Encrypted media: what a session needs of SRTP, and its import at the first encrypted camera."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from supervisor.base.background_import import BackgroundImport, NotLoaded
from supervisor.domain.values import Fault, Reason

from ...media.media import SourceLoss
from ...media.oddities import Oddity
from .keys import find_key, header_with, key_in_header
from .messages import Response, TakeFrame
from .mikey import MasterKey, MikeyError, build
from .reasons import Ended, no_keys
from .reorder import Reorder
from .sdp import Media
from .transport_header import TransportHeader

if TYPE_CHECKING:
    from .srtp import Srtp

MAX_FAILED = 256
"""Packets in a row without a valid tag, after which the keys count as wrong."""
OF_DECRYPTION = 1
"""Charge for a packet, in packets, beside the packet itself."""

KEY_MANAGEMENT_FAILURE = 463
"""The status of a camera that wants to be given its key, with a name (RFC 7826, section 17.4.30)."""
SRTP = BackgroundImport(["actors.sources.rtsp.srtp"], packages=["cryptography"])
_EPOCH_S = 2_208_988_800
"""From 1900, where NTP begins, to 1970."""


class NoKeys(Ended):
    """The media is encrypted, and its keys are not known, or do not fit."""


class NeedsCipher(Ended):
    """The media is encrypted, and the ciphers are not loaded: they are at the first encrypted camera."""

    def __init__(self) -> None:
        super().__init__(Reason("not-loaded", "the ciphers for encrypted media are not loaded", Fault.TEMPORARY))


@attrs.frozen
class Cipher:
    """The means to decrypt the media of one session."""

    make: "type[Srtp]"
    entropy: bytes = attrs.field(repr=False)
    """54 random bytes."""
    wall_ns: int
    """The time, in nanoseconds since 1970."""


async def load_ciphers() -> Reason | None:
    """Import the ciphers. Returns the reason if that is impossible at the moment."""
    try:
        await SRTP.load()
    except NotLoaded as error:
        return Reason("not-loaded", str(error), Fault.TEMPORARY)
    return None


def make_cipher(wall_ns: int) -> Cipher:
    """Return the cipher of one session. Raises `NeedsCipher` before `load_ciphers`."""
    if not SRTP.is_loaded:
        raise NeedsCipher
    from .srtp import Srtp

    return Cipher(Srtp, secrets.token_bytes(54), wall_ns)


class KeyExchange:
    """The keys of one medium: the camera's for its packets, and ours for our reports.

    The camera's key is in its description or in its answer to SETUP. Ours is the same if the description has one,
    because some cameras know only one. Others demand that we name the key of both, with a name of the key.
    """

    def __init__(self, media: Media, cipher: Cipher, ssrc: int) -> None:
        self._cipher, self._ssrc = cipher, ssrc
        self._theirs: MasterKey | None = None
        self._is_imposed = False
        self._why = ""
        secret = cipher.entropy[:30]
        self._ours = MasterKey(secret[:16], secret[16:])
        try:
            self._theirs = find_key(media.key_mgmt, media.crypto)
            self._ours = attrs.evolve(self._theirs, rollovers={})
        except MikeyError as error:
            self._why = str(error)

    def header(self, url: str) -> str:
        """Return the value of `KeyMgmt` in SETUP."""
        ntp = (self._cipher.wall_ns // 1000 << 32) // 1_000_000 + (_EPOCH_S << 32)
        return header_with(url, build(self._ours, self._ssrc, ntp, self._cipher.entropy[30:50]))

    def impose(self, url: str) -> str:
        """As `header`; the key is for the camera's packets, too."""
        self._is_imposed = True
        self._theirs = self._ours = attrs.evolve(self._ours, mki=self._cipher.entropy[50:54])
        return self.header(url)

    def finish(
        self,
        answer: Response,
        header: TransportHeader,
        loss: SourceLoss,
        spend: Callable[[int], None],
        give_up: Callable[[], None],
        may_be_plain: bool,
    ) -> "Decryptor | None":
        """Return the decryptor after the `answer` to SETUP; None for plain media. Raises `NoKeys`.

        `header` is its `Transport`.
        """
        named = answer.header("keymgmt")
        if named and not self._is_imposed:
            try:
                self._theirs = key_in_header(named)
            except MikeyError as error:
                self._why = str(error)
        perhaps_plain = may_be_plain and header.profile.startswith("RTP/AVP")
        if self._theirs is None:
            if perhaps_plain:
                return None
            raise NoKeys(no_keys(self._why))
        return Decryptor(self._cipher.make(self._theirs, self._ours), loss, spend, give_up, perhaps_plain)


@attrs.frozen
class Decryptor:
    """Decrypts the packets of one track. With `perhaps_plain`, packets count as plain until one is authentic.

    `give_up` is called when the keys do not fit `MAX_FAILED` packets in a row. It may raise `Ended`.
    """

    cipher: "Srtp"
    _loss: SourceLoss
    _spend: Callable[[int], None]
    _give_up: Callable[[], None]
    _perhaps_plain: bool = False

    def frames(self, take: TakeFrame) -> TakeFrame:
        """Return a taker of encrypted RTP in front of `take`."""

        def take_encrypted(data: bytes, start: int, stop: int) -> None:
            if plain := self._decrypt(data[start:stop]):
                take(plain, 0, len(plain))

        return take_encrypted

    def reports(self, take: TakeFrame) -> TakeFrame:
        """Return a taker of encrypted RTCP in front of `take`."""

        def take_encrypted(data: bytes, start: int, stop: int) -> None:
            data = data[start:stop]
            plain = self.cipher.unprotect_rtcp(data)
            if plain is None and self._is_plain():
                plain = data
            if plain is not None:
                take(plain, 0, len(plain))

        return take_encrypted

    def datagrams(self, order: Reorder) -> "DecryptedOrder":
        return DecryptedOrder(self._decrypt, order)

    def protect(self, report: bytes) -> bytes:
        """Encrypt one of our reports."""
        return report if self._is_plain() else self.cipher.protect_rtcp(report)

    def _is_plain(self) -> bool:
        return self._perhaps_plain and not self.cipher.has_begun

    def _decrypt(self, data: bytes) -> bytes:
        self._spend(OF_DECRYPTION)
        plain = self.cipher.unprotect(data)
        if plain is not None:
            return plain
        if self._is_plain():
            return data
        if not self.cipher.failed:
            self._loss.late += 1
            return b""
        self._loss.malformed += 1
        self._loss.meet(Oddity.UNAUTHENTIC)
        if self.cipher.failed == MAX_FAILED:
            self._give_up()
        return b""


@attrs.frozen
class DecryptedOrder:
    """A `Reorder` behind a `Decryptor`."""

    _decrypt: Callable[[bytes], bytes]
    _order: Reorder

    def receive(self, data: bytes, now: float) -> None:
        if plain := self._decrypt(data):
            self._order.receive(plain, now)
