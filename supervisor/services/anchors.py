"""Notes the end of the journal's chain outside of the journal, now and then: in a file, or by POST to an address.

Rules of this file:
- Nobody waits for it: it reads what is durable already, in a thread, and no acknowledgement depends on it.
- A request to a server is bounded in time and size, and a redirect is not followed.
- A place that fails keeps no other place from its anchor.
- That it fails is an alert; the address is shown without what may be secret of it, and no answer is quoted.
"""

import base64
import ssl
import time
from functools import cache, partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import h11
import msgspec
import trio

from .. import __version__
from ..base.printable import brief
from ..base.threads import refusing_threads, run_in_thread
from ..base.times import iso
from ..domain.monitors import Figure, Reading
from ..journal.anchor import Anchor, AnchorSettings, append_anchor, find_head
from ..ports.errors import JournalError

PATIENCE_S = 10.0
"""For one attempt, from the look-up of the name to the status of the answer."""
RETRY_S = (2.0, 10.0)
"""Between the attempts of one round; then the next round is waited for."""


class AnchorError(Exception):
    """The anchor was not taken; for people."""


class Anchoring:
    """Anchors the journal in `folder`. `reading` says how it goes, for the monitors."""

    def __init__(self, settings: AnchorSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._limiter = trio.CapacityLimiter(1)
        self._taken: dict[str, Anchor] = {}
        self._since: float | None = None
        """When an anchor was last taken everywhere, on trio's clock; until then, when the first round began."""
        self._failed = 0
        """Rounds that failed, one after the other."""
        self._why = ""

    async def run(self) -> None:
        """Note the end of the chain now and every `every_s`, where it is another than before.

        Cancellation: at once. Cleanup: a connection is closed; a thread that hangs on a disk is abandoned, and the next
        round waits for it.
        """
        while True:
            await self.note()
            await trio.sleep(self._settings.every_s)

    async def note(self) -> None:
        """One round: up to three attempts for each place that does not have the present end of the chain."""
        self._since = trio.current_time() if self._since is None else self._since
        for delay_s in (*RETRY_S, None):
            try:
                await self._attempt()
            except AnchorError as error:
                self._why = str(error)
                if delay_s is not None:
                    await trio.sleep(delay_s)
            else:
                self._failed, self._why, self._since = 0, "", trio.current_time()
                return
        self._failed += 1

    async def _attempt(self) -> None:
        """Try each place that lacks the anchor. Raises `AnchorError` with the reasons of all that fail."""
        read = partial(find_head, self._folder, iso(time.time_ns(), timespec="seconds"))
        try:
            anchor = await run_in_thread(read, limiter=self._limiter, abandon="a disk may not answer")
        except (JournalError, OSError) as error:
            raise AnchorError(f"the journal cannot be read: {error}") from None
        if anchor is None:
            return
        reasons = []
        for place, note in (("file", self._append), ("url", self._post)):
            if self._has(place, anchor):
                continue
            try:
                await note(anchor)
                self._taken[place] = anchor
            except AnchorError as error:
                reasons.append(str(error))
        if reasons:
            raise AnchorError("; ".join(reasons))

    async def _append(self, anchor: Anchor) -> None:
        if (path := self._settings.file) is None:
            return
        try:
            append = partial(append_anchor, path, anchor)
            await run_in_thread(append, limiter=self._limiter, abandon="the anchor's disk may not answer")
        except JournalError as error:
            raise AnchorError(str(error)) from None
        except OSError as error:
            raise AnchorError(f"{path} cannot be written: {error.strerror or error}") from None

    async def _post(self, anchor: Anchor) -> None:
        if url := self._settings.url:
            await post(url, msgspec.json.encode(anchor))

    def _has(self, place: str, anchor: Anchor) -> bool:
        known = self._taken.get(place)
        return known is not None and (known.journal, known.seq, known.digest) == (
            anchor.journal,
            anchor.seq,
            anchor.digest,
        )

    def reading(self) -> Reading:
        """The rounds that failed one after the other, and why."""
        age_s = 0.0 if self._since is None else trio.current_time() - self._since
        text = f"the chain's end is noted in {self._settings.shown}"
        if self._failed:
            text = f"{self._settings.shown} does not take the chain's end: {self._why}"
        figures = (
            Figure(
                "banken_anchor_age_seconds",
                "Time since the end of the chain was anchored, or was first tried to be",
                age_s,
            ),
            Figure("banken_anchor_failures", "Failed attempts in a row to anchor the end of the chain", self._failed),
        )
        return Reading(float(self._failed), text, figures)


async def post(url: str, body: bytes) -> None:
    """POST `body` as JSON. Raises `AnchorError` unless it is taken, with a status from 200 to 299, in time."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        ("Host", parts.netloc.rpartition("@")[2]), ("User-Agent", f"banken/{__version__}"), ("Connection", "close"),
        ("Content-Type", "application/json"), ("Content-Length", str(len(body))),
    ]  # fmt: skip
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers.append(("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}"))
    connection = h11.Connection(h11.CLIENT)
    asked = [h11.Request(method="POST", target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
    question = b"".join(connection.send(event) or b"" for event in asked)
    with trio.move_on_after(PATIENCE_S):
        try:
            status = await _ask(host, port, secure, question, connection)
        except (OSError, UnicodeError, ssl.SSLError) as error:
            raise AnchorError(f"it cannot be reached: {brief(error)}") from None
        except trio.BrokenResourceError as error:
            raise AnchorError(f"it gives no valid answer: {brief(error.__cause__ or error)}") from None
        except h11.ProtocolError:  # its text quotes the answer, which may quote our question
            raise AnchorError("it gives no valid answer: this is not HTTP") from None
        if 300 <= status < 400:
            raise AnchorError(f"it answers with status {status}, a redirect, which is not followed")
        if not 200 <= status < 300:
            raise AnchorError(f"it refuses with status {status}")
        return
    raise AnchorError(f"it did not answer within {PATIENCE_S:g} s")


_READS = trio.CapacityLimiter(1)
"""While the directory of the certificates hangs, one thread waits for it, and no second one."""


@cache
def _tls_context() -> ssl.SSLContext:
    """Blocking, 30 ms: it reads all certificates that the system trusts. Made once; a failure is not kept."""
    return ssl.create_default_context()


async def _ask(host: str, port: int, secure: bool, question: bytes, connection: h11.Connection) -> int:
    """The status of the answer; its head is bounded by h11, and its body is not read."""
    context = None
    if secure:
        context = await run_in_thread(_tls_context, limiter=_READS, abandon="it only reads files")
    with refusing_threads():
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
    try:
        if context is not None:
            stream = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
        await stream.send_all(question)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(4096)))
            elif isinstance(event, h11.Response):
                return event.status_code
            elif isinstance(event, h11.ConnectionClosed):
                raise AnchorError("it closed the connection without an answer")
    finally:
        await trio.aclose_forcefully(stream)
