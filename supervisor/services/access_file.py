"""The access file: what must not be in the journal (hashes of passwords, keys), and what must not be lost with it.

Rules of this file:
- It is replaced as a whole: a temporary file, synced and renamed. A crash leaves the old one or the new one.
- Only its owner may read it (0600). One that others may write is damaged: anybody could have made himself an admin.
- A file that cannot be read denies everything. It is never made again in silence.
"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..domain.digest import ReaderKeys
from ..domain.ids import CameraId, PasskeyId, UserId
from ..domain.rights import Role, Scope
from ..journal.files import private_file, sync_folder

NAME = "access.json"
MOST_BYTES = 8 * 1024 * 1024


class AccessDamaged(Exception):
    """The access file cannot be used; the text says why, and what to do."""


class StoredPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A passkey, as its authenticator made it."""

    credential: bytes
    """Its id, by which authenticators know it."""
    key: bytes
    """Its public key, in COSE."""
    count: int
    """How often it was used, according to its authenticator; 0 from one that does not count."""
    rp: str
    """The name of the host for which it was made."""
    transports: tuple[str, ...] = ()
    """How browsers reach its authenticator."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of the file about one user."""

    role: Role
    scope: Scope
    password: str = ""
    """Hash by argon2; empty: no password is right."""
    passkeys: Mapping[PasskeyId, StoredPasskey] = {}


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user at the login provider, as the ID token names it."""

    issuer: str
    subject: str
    provider: str
    """The name of the provider in the configuration."""


class AccessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the file has."""

    version: int = 1
    changes: int = 0
    """`access_changes` of the state for which it was written."""
    trust_ended: bool = False
    users: Mapping[UserId, Account] = {}
    sessions: frozenset[str] = frozenset()
    """Hashes of the sessions that have not ended."""
    tokens: frozenset[str] = frozenset()
    """Hashes of the tokens that have not ended."""
    shares: frozenset[str] = frozenset()
    """Hashes of the shares that have not ended."""
    rtsp: Mapping[str, ReaderKeys] = {}
    """HA1 of the tokens for RTSP, by the hash of the token. Each is as good as its token."""
    private: frozenset[CameraId] = frozenset()
    """The cameras that are private."""
    links: Mapping[UserId, Link] = {}
    """The users who log in by a login provider."""


_decode = msgspec.json.Decoder(AccessFile).decode


def read_access(path: Path) -> AccessFile | None:
    """The file at `path`; None without a file. Raises `AccessDamaged`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AccessDamaged(f"{path} cannot be opened: {error.strerror}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise AccessDamaged(f"{path} is no file")
    with open(descriptor, "rb") as file:
        if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0):
            raise AccessDamaged(f"{path} may be written by others; chown and chmod 600 it, and look who is in it")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise AccessDamaged(f"{path} is larger than {MOST_BYTES} bytes: put back a copy")
    try:
        decoded = _decode(data)
        json.loads(data, object_pairs_hook=_require_single)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AccessDamaged(
            f"{path} is damaged: {error}; put back a copy, or move it away; restart; without a copy, set the passwords "
            "again with banken user password"
        ) from None
    if decoded.version != 1:
        raise AccessDamaged(f"{path} has version {decoded.version}, which a newer banken wrote; this one knows 1")
    return decoded


def _require_single(fields: Sequence[tuple[str, object]]) -> None:
    """Raise `ValueError` for a field that is given twice: a person who reads the file may see the other one."""
    names = [name for name, _ in fields]
    doubled = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if doubled is not None:
        raise ValueError(f"the field {doubled[:40]!r} is given twice")


def write_access(path: Path, content: AccessFile) -> None:
    """Replace the file at `path`. Raises `OSError`, and then the old one is still there."""
    beside = path.with_name(f"{path.name}.new")
    with private_file(beside) as file:
        file.write(msgspec.json.format(msgspec.json.encode(content, order="deterministic"), indent=1))
    beside.replace(path)
    sync_folder(path.parent)
