"""Rows of the audit: who watched, exported, changed, logged in, or was refused; and which of them somebody may see.

Rules of this file:
- Without the right to read the journal, only own rows are seen.
- A row of a camera is seen with its camera. A row without one is of a person: its own, or one for an admin.
- A row of one's own keeps no name of a camera that one may not see any more.
"""

from typing import Literal, NamedTuple

import attrs
from msgspec.structs import replace

from ..domain.clients import LOCAL, PREFIX
from ..domain.ids import CameraId, lease_stream, peer_stream, session_stream, use_stream
from ..domain.rights import PROXY, SHARE, TOKEN, USER
from ..domain.scoped import Visible, redacted
from ..domain.state import State
from .findings import Finding

Kind = Literal["watched", "leased", "exported", "changed", "login", "login-failed", "refused"]
How = Literal[
    "", "webrtc", "whep", "rtsp", "mjpeg", "hls", "snapshot", "opened", "lease", "large view", "suggestion"
]  # fmt: skip
By = Literal["user", "token", "share", "proxy", "local", "client", "banken"]
End = Literal["ended", "open", "unknown"]
INNER = "banken"


class Author(NamedTuple):
    """Whose act something was. `session`: the login of a user, as `/api/sessions` has it; else empty."""

    by: By
    user: str
    session: str = ""


def author_of(principal: str) -> Author:
    """The author that a principal of the journal stands for."""
    if principal.startswith(USER):
        return Author("user", *principal.removeprefix(USER).partition("/")[::2])
    if principal.startswith(TOKEN):
        return Author("token", principal.removeprefix(TOKEN))
    if principal.startswith(SHARE):
        return Author("share", principal.removeprefix(SHARE).partition("/")[0])
    if principal.startswith(PROXY):
        return Author("proxy", principal.removeprefix(PROXY).rpartition("/")[0])
    if principal == LOCAL:
        return Author("local", LOCAL)
    if principal.startswith(PREFIX):
        return Author("client", principal.removeprefix(PREFIX))
    return Author("banken", INNER)


class Row(Finding, frozen=True, kw_only=True):
    """An act of somebody, or its refusal."""

    kind: Kind
    """`leased` is a page's right to watch: the connections under it are `watched`."""
    user: str
    """The name of the user, token or share; an address for a client that had no login."""
    by: By
    """The kind of that name."""
    session: str = ""
    client: str
    """Its address; empty where the journal has none."""
    device: str = ""
    """The browser, as it called itself when its user logged in."""
    camera: CameraId | None = None
    how: How = ""
    """`webrtc` is a connection under a lease of a page, `whep` one without: a tile, or another program. `rtsp` is a
    reader, `mjpeg` a stream of pictures, `hls` a player of HLS, `snapshot` single ones, `opened` a camera that was
    opened for one. A lease is the right to watch: for a tile of a page, a large view, or the suggestion that all pages
    show."""
    since_ns: int
    until_ns: int | None
    """None while it is open; where the end is unknown, the last instant at which it was certainly open."""
    lasted_s: float = 0.0
    """Up to the end of the stretch while it is open."""
    end: End = "ended"
    bytes: int | None = None
    """That were sent; None where the journal does not have it."""
    count: int = 1
    """Pictures of a `snapshot`; otherwise this one, and those that were not journaled apart."""
    reason: str = ""
    """How it ended, what was changed, or why it was refused, for people; empty while it is open."""
    code: str = ""
    """The same for machines."""
    connected: bool = True
    """False for a connection that never came about. Whether the camera was live is another question."""
    id: str = ""
    lease: str = ""
    """The lease that a connection lives under; empty where it has none of a page."""
    seq: int | None
    """The event that began it; none where that was before the stretch."""


@attrs.frozen
class AuditFilter:
    """The rows that are asked for, and those that the asker may see."""

    user: str = ""
    """A name as in `Row.user`, or with its kind in front: `token:hall`."""
    camera: CameraId | None = None
    client: str | None = None
    kinds: frozenset[Kind] = frozenset()
    """Empty: all."""
    own: Author | None = None
    """The asker, if their own rows are theirs to see."""
    reads: bool = True
    """Whether they may read the journal."""
    people: bool = True
    """Whether they may see rows of others without a camera: logins, users, the configuration."""
    visible: Visible | None = None
    """The cameras that they may see; None for all."""

    def row(self, row: Row) -> Row | None:
        """The row as it is shown; None if it is not wanted, or not theirs to see."""
        if self.own is not None and self.own[:2] == (row.by, row.user):
            shown: Row | None = self._without_hidden(row)
        else:
            shown = row if self._may_see(row) else None
        return shown if shown is not None and self._is_wanted(shown) else None

    def _may_see(self, row: Row) -> bool:
        if not self.reads:
            return False
        return self._sees(row.camera) if row.camera is not None else self.people

    def _sees(self, camera: CameraId) -> bool:
        return self.visible is None or camera in self.visible

    def _without_hidden(self, row: Row) -> Row:
        if row.camera is None or self._sees(row.camera):
            return row
        return replace(row, camera=None, reason="", lease="", id="")

    def _is_wanted(self, row: Row) -> bool:
        return (
            (not self.kinds or row.kind in self.kinds)
            and (not self.user or self.user in (row.user, f"{row.by}:{row.user}"))
            and self.camera in (None, row.camera)
            and self.client in (None, row.client)
        )

    def text(self, row: Row) -> Row:
        """The row without the names of other cameras in its text."""
        if self.visible is None:
            return row
        is_hidden = row.camera is None and row.kind in ("watched", "leased", "refused", "changed") and not self.people
        return replace(row, reason="" if is_hidden else redacted(row.reason, self.visible))


@attrs.frozen
class Live:
    """The streams of peers, leases, uses and sessions that are open after event `seq`, as a daemon knows them."""

    seq: int
    streams: frozenset[str]


def live_in(state: State) -> Live:
    """All that is open in a state."""
    streams = (
        *map(peer_stream, state.peers), *map(lease_stream, state.leases), *map(use_stream, state.uses),
        *map(session_stream, state.sessions),
    )  # fmt: skip
    return Live(state.seq, frozenset(streams))


@attrs.frozen
class AuditPage:
    """Rows, the newest first. `before`: where the next page goes on; None on the last page."""

    rows: tuple[Row, ...]
    before: int | None
