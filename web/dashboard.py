"""The dashboard's files: plain ES modules and styles, served as they were when the daemon began, from memory.

Rules of this file:
- The page names its files below one folder, `dashboard/HASH/`, with a hash over all of them. Modules and styles name
  each other relatively, so one hash in the page is enough, and no build step is needed. All names are relative: the
  page works below a path prefix.
- Files asked for by the hash are kept by browsers for ever. Everything else is checked at each load by its ETag.
- A file is compressed once, when somebody asks for it the first time.
"""

import gzip
from functools import cached_property
from hashlib import blake2b
from mimetypes import guess_type
from pathlib import Path

import attrs
from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from .cross_site import takes_visits

FOLDER = Path(__file__).parent / "dashboard"
FOR_EVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"
LEVEL = 6
"""Of gzip: the largest file takes 2 ms."""


@attrs.define(slots=False)
class _File:
    data: bytes
    kind: str | None

    @cached_property
    def tag(self) -> str:
        return _hash(self.data)

    @cached_property
    def small(self) -> bytes:
        """Compressed; the same bytes each time."""
        return gzip.compress(self.data, LEVEL, mtime=0)


def routes() -> Blueprint:
    """Serves the files of `FOLDER`, which are read now."""
    files = Blueprint("dashboard", __name__)
    known = {
        str(path.relative_to(FOLDER)): _File(path.read_bytes(), guess_type(path.name)[0])
        for path in FOLDER.rglob("*")
        if path.is_file()
    }
    version = _hash(b"".join(name.encode() + known[name].tag.encode() for name in sorted(known)))
    page = known["index.html"].data.replace(b'="dashboard/', b'="dashboard/%s/' % version.encode())
    shown = _File(page, "text/html")

    @files.get("/")
    @takes_visits
    async def index() -> Response:
        return await _send(shown, CHECKED)

    @files.get("/favicon.ico")
    async def icon() -> Response:
        return await _send(known["favicon.svg"], CHECKED)

    @files.get("/dashboard/<path:name>")
    async def send(name: str) -> Response:
        """Below another hash than ours is what a page of another version asks for: it gets what there is now."""
        folder, _, rest = name.partition("/")
        hashed = len(folder) == len(version) and rest in known
        file = known.get(rest if hashed else name)
        if file is None:
            raise NotFound("the dashboard has no such file")
        return await _send(file, FOR_EVER if folder == version else CHECKED)

    return files


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
