"""The keys of encrypted media in a description and in headers: MIKEY, or the attribute `crypto`. Pure.

Source: RFC 4567, sections 3.1 (`a=key-mgmt`) and 3.2 (`KeyMgmt`); RFC 4568, sections 6.1 and 9.2 (`a=crypto`).
"""

import base64
import binascii
import re
from collections.abc import Sequence

from .mikey import SALT, SHORT_TAG, TAG, MasterKey, MikeyError, parse

MAX_KEYS = 16
"""Limit of keys of a medium that are read."""
_SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (16, TAG),
    "AES_CM_128_HMAC_SHA1_32": (16, SHORT_TAG),
    "AES_192_CM_HMAC_SHA1_80": (24, TAG),
    "AES_192_CM_HMAC_SHA1_32": (24, SHORT_TAG),
    "AES_256_CM_HMAC_SHA1_80": (32, TAG),
    "AES_256_CM_HMAC_SHA1_32": (32, SHORT_TAG),
}
"""Bytes of the key and of the tag (RFC 4568, section 6.2; RFC 6188, section 4)."""
_CRYPTO = re.compile(
    r"\d{1,9} +(\w{1,40}) +inline:([A-Za-z0-9+/=]{1,200})(?:\|[^|:;\s]{1,20})?(?:\|(\d{1,9}):(\d{1,3}))?"
)
_DATA = re.compile(r'data *= *"?([A-Za-z0-9+/=]+)')


def find_key(key_mgmt: Sequence[str], crypto: Sequence[str]) -> MasterKey:
    """Return the first usable key of these attributes. Raises `MikeyError` if no attribute has one."""
    errors: list[str] = []
    for take, lines in (_from_key_mgmt, key_mgmt), (_from_crypto, crypto):
        for line in lines[:MAX_KEYS]:
            try:
                return take(line.strip())
            except MikeyError as error:
                errors.append(str(error))
    raise MikeyError(errors[0] if errors else "it names no key")


def key_in_header(value: str) -> MasterKey:
    """Return the key in the header `KeyMgmt`. Raises `MikeyError`."""
    found = _DATA.search(value)
    return parse(_decode(found[1] if found else ""))


def header_with(url: str, message: bytes) -> str:
    """Return the value of the header `KeyMgmt` for the medium at `url`."""
    return f'prot=mikey;uri="{url}";data="{base64.b64encode(message).decode()}"'


def _from_key_mgmt(line: str) -> MasterKey:
    protocol, _, text = line.partition(" ")
    if protocol.lower() != "mikey":
        raise MikeyError("its key management is not MIKEY")
    return parse(_decode(text.strip()))


def _from_crypto(line: str) -> MasterKey:
    """The last parameter of a line may leave out encryption or authentication: such a line is refused."""
    found = _CRYPTO.fullmatch(line)
    if found is None or found[1].upper() not in _SUITES:
        raise MikeyError("it demands another cipher than AES in counter mode with HMAC-SHA1")
    (size, tag), secret = _SUITES[found[1].upper()], _decode(found[2])
    if len(secret) != size + SALT:
        raise MikeyError("its key has an unknown size")
    mki = b""
    if found[4]:
        if not 1 <= int(found[4]) <= 128 or int(found[3]).bit_length() > 8 * int(found[4]):
            raise MikeyError("its key has an impossible name")
        mki = int(found[3]).to_bytes(int(found[4]))
    return MasterKey(secret[:size], secret[size:], tag, mki)


def _decode(text: str) -> bytes:
    """Decode base64; some cameras leave out its padding. Raises `MikeyError`."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise MikeyError("its key is not base64") from None
