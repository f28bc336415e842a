"""The dashboard's files: plain ES modules and styles, served as they were when the daemon began, from memory."""

from mimetypes import guess_type
from pathlib import Path

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from .cross_site import takes_visits

FOLDER = Path(__file__).parent / "dashboard"


def routes() -> Blueprint:
    files = Blueprint("dashboard", __name__)
    known = {str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}

    @files.get("/")
    @takes_visits
    async def index() -> Response:
        return await send("index.html")

    @files.get("/favicon.ico")
    async def icon() -> Response:
        return await send("favicon.svg")

    @files.get("/dashboard/<path:name>")
    async def send(name: str) -> Response:
        """Checked for a newer version at each load: the page is of the same version as its daemon."""
        if name not in known:
            raise NotFound("the dashboard has no such file")
        response = Response(known[name], mimetype=guess_type(name)[0])
        response.headers["Cache-Control"] = "no-cache"
        await response.add_etag()
        return await response.make_conditional(request)

    return files
