"""The files of the dashboard: plain ES modules and style sheets, read when the daemon starts and served from memory.

Rules of this file:
- The page refers to its files below one folder, `dashboard/HASH/`, with a hash over all of them. Modules and styles
  refer to each other by relative paths, so one hash in the page is enough, and no build step is needed. All paths are
  relative, so the page works below a path prefix.
- Browsers cache files below the hash without expiry. Everything else is revalidated by its ETag on each load.
- A file is compressed once, on the first request for it.
- The page of the setup link is another document. It and its files are served below `/setup`, since nothing else is
  served before the first user.
- The page and its table of panels lack the panels of parts that are off, so that no browser loads or asks anything of
  them. The hash covers this, too.
"""

import gzip
from collections.abc import Collection
from functools import cached_property
from hashlib import blake2b
from mimetypes import guess_type
from pathlib import Path

import attrs
from quart import Response, request
from werkzeug.exceptions import NotFound

from ..document import TABLE, document, table_without, with_words
from ..routes import Media, Right, Route, Web

FOLDER = Path(__file__).parents[1] / "dashboard"
FOR_EVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"
SETUP = "setup/setup.html"
_OURS = '="dashboard/'
LEVEL = 6
"""Compression level of gzip: the largest file takes 2 ms."""


@attrs.define(slots=False)
class _File:
    data: bytes
    kind: str | None

    @cached_property
    def tag(self) -> str:
        return _hash(self.data)

    @cached_property
    def small(self) -> bytes:
        """The compressed data; the bytes are reproducible."""
        return gzip.compress(self.data, LEVEL, mtime=0)


class _Files:
    """The files of `FOLDER`."""

    def read(self, off: Collection[str]) -> None:
        """Read them, once; without the panels of the parts in `off`."""
        self.known = {
            str(path.relative_to(FOLDER)): _File(path.read_bytes(), guess_type(path.name)[0])
            for path in FOLDER.rglob("*")
            if path.is_file()
        }
        if table := self.known.get(TABLE):
            self.known[TABLE] = _File(table_without(off, table.data.decode()).encode(), table.kind)
        scripts = {name: file.data.decode() for name, file in self.known.items() if name.endswith(".js")}
        for name in scripts:
            self.known[name] = _File(with_words(name, scripts).encode(), self.known[name].kind)
        self.version = _hash(b"".join(name.encode() + self.known[name].tag.encode() for name in sorted(self.known)))
        page, setup = document(FOLDER, off), self.known[SETUP].data.decode() if SETUP in self.known else ""
        self.page = _File(page.replace(_OURS, f'="dashboard/{self.version}/').encode(), "text/html")
        self.setup = _File(setup.replace(_OURS, f'="setup/{self.version}/').encode(), "text/html")


def prepare(web: Web) -> None:
    """Read the files."""
    web.keep(_Files).read(web.settings.off)


async def index(web: Web) -> Response:
    return await _send(web.keep(_Files).page, CHECKED)


async def show_setup(web: Web) -> Response:
    """Show the page of the setup link; once there has been a user, the page where people log in."""
    setup = web.daemon.setup
    if not web.settings.setup_url or setup is None or not setup.is_open:
        return Response("", 303, {"Location": "./", "Cache-Control": "no-store"})
    return await _send(web.keep(_Files).setup, "no-store")


async def shared(web: Web) -> Response:
    return await index(web)


async def icon(web: Web) -> Response:
    return await _send(web.keep(_Files).known["favicon.svg"], CHECKED)


async def send(web: Web, name: str) -> Response:
    """Send a file; a page of another version asks below another hash, and gets the current file."""
    files = web.keep(_Files)
    folder, _, rest = name.partition("/")
    hashed = len(folder) == len(files.version) and rest in files.known
    file = files.known.get(rest if hashed else name)
    if file is None:
        raise NotFound("the dashboard has no such file")
    return await _send(file, FOR_EVER if folder == files.version else CHECKED)


async def send_for_setup(web: Web, name: str) -> Response:
    """As `send`."""
    return await send(web, name)


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


async def _send(file: _File, caching: str) -> Response:
    small = request.accept_encodings.quality("gzip") > 0 and len(file.small) < len(file.data)
    response = Response(file.small if small else file.data, mimetype=file.kind)
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept-Encoding"
    if small:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{file.tag}-gzip" if small else file.tag)
    return await response.make_conditional(request)


ROUTES = (
    Route(
        method="GET",
        path="/",
        right=Right.NONE,
        handler=index,
        summary="Show the page.",
        request="[what the page understands](operations.md#the-page)",
        answer=Media("text/html"),
        response="the page",
        takes_visits=True,
    ),
    Route(
        method="GET",
        path="/s",
        right=Right.NONE,
        handler=shared,
        summary="Show the page to whoever has the link of a share.",
        request="the secret of the link is behind `#`, which browsers do not send",
        answer=Media("text/html"),
        response="the page, which sends the secret to `/api/session/share`",
        takes_visits=True,
    ),
    Route(
        method="GET",
        path="/favicon.ico",
        right=Right.NONE,
        handler=icon,
        summary="Show the icon of the page.",
        answer=Media("image/svg+xml"),
        response="its icon",
    ),
    Route(
        method="GET",
        path="/dashboard/{name:path}",
        right=Right.NONE,
        handler=send,
        summary="Send a file of the page.",
        answer=Media("*/*"),
        response="a file of the page; below the hash of the release it is kept by browsers for a year",
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/setup",
        right=Right.NONE,
        handler=show_setup,
        summary="Show the page of the setup link, on which the first user is made.",
        answer=Media("text/html"),
        response="the page",
        also={303: "to the page, once there has been a user, or on loopback"},
        takes_visits=True,
        before_users=True,
    ),
    Route(
        method="GET",
        path="/setup/{name:path}",
        right=Right.NONE,
        handler=send_for_setup,
        summary="Send a file of this page.",
        answer=Media("*/*"),
        response="as `/dashboard/{name}`",
        errors=(404,),
        before_users=True,
    ),
)
