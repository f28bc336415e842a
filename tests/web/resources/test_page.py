"""The dashboard's files over HTTP: compressed once, and kept by browsers until they change."""

import gzip
import re
from pathlib import Path

import pytest

from tests.kit.http import Answer
from tests.kit.site import Site, open_site
from web.app import WebSettings
from web.resources import page as served

ZIPPED = {"Accept-Encoding": "gzip, deflate, br"}


async def version_of(site: Site) -> str:
    found: set[str] = set(re.findall(r'(?:href|src)="dashboard/([0-9a-f]{16})/', (await site.get("/")).text))
    assert len(found) == 1, found
    return found.pop()


async def test_page_names_its_files_by_a_hash_and_relatively() -> None:
    """Each script, style and picture of the page is below one folder with the hash, without a leading slash."""
    async with open_site() as site:
        page = (await site.get("/")).text
        version = await version_of(site)
        names = re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"', page)
        assert len(names) > 20
        assert [name for name in names if not name.startswith(f"dashboard/{version}/")] == []
        for name in names:
            answer = await site.get(f"/{name}")
            assert (answer.status, answer.headers["Cache-Control"]) == (200, served.FOR_EVER)


async def test_file_by_its_hash_is_kept_and_by_its_name_is_checked() -> None:
    """The page itself, and a name without the hash or with an old one, are asked about at each load."""
    async with open_site() as site:
        version = await version_of(site)
        by_hash = await site.get(f"/dashboard/{version}/main.js")
        assert by_hash.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        for path in ("/", "/favicon.ico", "/dashboard/main.js", f"/dashboard/{'0' * 16}/main.js"):
            answer = await site.get(path)
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
            again = await site.get(path, **{"If-None-Match": answer.headers["Etag"]})
            assert (again.status, again.body) == (304, b"")
        assert (await site.get("/dashboard/main.js")).body == by_hash.body


@pytest.mark.parametrize("name", ["index.html", "main.js", "styles/base.css", "favicon.svg", "lang/ja.js"])
async def test_file_is_served_compressed(name: str) -> None:
    """As gzip for clients that accept it, with another ETag, and unchanged for the others."""
    async with open_site() as site:
        plain, small = await site.get(f"/dashboard/{name}"), await site.get(f"/dashboard/{name}", **ZIPPED)
        assert "Content-Encoding" not in plain.headers
        assert small.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(small.body) == plain.body == (served.FOLDER / name).read_bytes()
        assert small.headers["Content-Type"] == plain.headers["Content-Type"]
        assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
        assert plain.headers["Etag"] != small.headers["Etag"]
        kept = await site.get(f"/dashboard/{name}", **ZIPPED, **{"If-None-Match": small.headers["Etag"]})
        assert (kept.status, "Content-Encoding" in kept.headers or kept.body == b"") == (304, True)


@pytest.mark.parametrize("origin", ["https://wall.example", ""])
async def test_cache_keeps_answers_apart_by_origin_and_by_compression(origin: str) -> None:
    """With listed origins each answer may differ by `Origin`, also for who names none; a file still by `gzip`, too."""
    headers = {"Origin": origin} if origin else {}
    async with open_site(settings=WebSettings(allow_origins=("https://wall.example",))) as site:
        file = await site.get("/dashboard/main.js", **ZIPPED, **headers)
        assert file.headers["Vary"] == "Accept-Encoding, Origin"
        assert (await site.get("/api/cameras", **headers)).headers["Vary"] == "Origin"
        assert (await site.get("/nothing", **headers)).headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("accepted", "small"),
    [("gzip", True), ("*", True), ("gzip;q=0", False), ("identity", False), ("br", False), ("x;" * 400, False)],
)
async def test_compression_depends_on_accept_encoding(accepted: str, small: bool) -> None:
    """`Accept-Encoding` decides."""
    async with open_site() as site:
        answer = await site.get("/dashboard/main.js", **{"Accept-Encoding": accepted})
        assert (answer.status, answer.headers.get("Content-Encoding") == "gzip") == (200, small)


async def test_file_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked for."""
    done: list[bytes] = []
    compress = gzip.compress

    def count(data: bytes, level: int, mtime: int) -> bytes:
        done.append(data)
        return compress(data, level, mtime=mtime)

    monkeypatch.setattr(gzip, "compress", count)
    async with open_site() as site:
        answers: list[Answer] = [await site.get("/dashboard/main.js", **ZIPPED) for _ in range(3)]
        assert len(done) == 1
        assert len({answer.body for answer in answers}) == 1


async def test_change_of_any_file_changes_the_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also when only its name changes: a module is found by its name."""
    versions: set[str] = set()
    for files in ({"a.js": "1"}, {"a.js": "2"}, {"b.js": "2"}, {"a.js": "1", "b.js": ""}):
        folder = tmp_path / str(len(versions))
        folder.mkdir()
        (folder / "index.html").write_text('<script src="dashboard/a.js"></script>')
        (folder / "favicon.svg").write_text("<svg/>")
        for name, text in files.items():
            (folder / name).write_text(text)
        monkeypatch.setattr(served, "FOLDER", folder)
        async with open_site() as site:
            versions.add(await version_of(site))
    assert len(versions) == 4
