"""A password stays where it was written: it is in no file, answer, log, list of processes or bundle."""

import base64
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import trio

from supervisor.forensics.incident.export import Wanted, export
from tests.kit.daemon import launch_daemon, write_config
from tests.kit.http import request
from tests.kit.patience import give_up_after
from tests.kit.processes import descendants, wait_until

IN_URL, IN_FILE, IN_ENVIRONMENT, OF_UPSTREAM, IN_HEADER = (
    "Ur1-Hunter2",
    "p%40ss%2Fw%3Ard+9",
    "env%23S3cret!x",
    "up5tream-key",
    "web-V1ewer-pw",
)
SECRETS = (IN_URL, IN_FILE, IN_ENVIRONMENT, OF_UPSTREAM, IN_HEADER)


def forms(secret: str) -> Iterator[bytes]:
    """As it was written, decoded, encoded, encoded twice, and as a browser sends it."""
    plain = unquote(secret)
    once = quote(plain, safe="")
    for text in {secret, plain, once, once.lower(), quote(secret, safe=""), json.dumps(plain)[1:-1]}:
        yield text.encode()
        for user in ("viewer", "admin"):
            yield base64.b64encode(f"{user}:{text}".encode())


def find_in(place: str, data: bytes) -> list[str]:
    return [f"{secret!r} as {form!r} in {place}" for secret in SECRETS for form in forms(secret) if form in data]


async def test_no_secret_leaves_the_configuration(tmp_path: Path) -> None:
    """Each way out of a real daemon is searched for each of its secrets, plain and encoded."""
    found: list[str] = []
    write_config(
        tmp_path,
        {
            "plain": f"rtsp://viewer:{IN_URL}@127.0.0.1:9/main",
            "encoded": f"rtsp://viewer:{IN_FILE}@127.0.0.1:9/main?channel=1",
            "environment": "rtsp://viewer:${CAMERA_PASSWORD}@127.0.0.1:9/main",
            "through": {
                "source": f"rtsp://viewer:{IN_URL}@127.0.0.1:9/sub",
                "via": f"http://admin:{OF_UPSTREAM}@127.0.0.1:9",
            },
            "by-a-child": {"ffmpeg": ["-i", "http://127.0.0.1:9/"]},
        },
    )
    authorization = base64.b64encode(f"viewer:{IN_HEADER}".encode()).decode()
    begin_ns = time.time_ns()
    async with launch_daemon(tmp_path, {"CAMERA_PASSWORD": IN_ENVIRONMENT}) as daemon:
        await daemon.wait_ready()

        def lost() -> bool:
            rows = daemon.journal()
            return len({r.event.camera for r in rows if r.type == "CameraWaiting"}) == 5  # type: ignore[attr-defined]

        processes = b""
        with give_up_after(30):
            while not lost():
                processes += "\n".join(" ".join(each.cmdline) for each in descendants(daemon.pid)).encode()
                await trio.sleep(0.02)
        assert processes
        found += find_in("the list of processes", processes)
        paths = [f"/api/{what}" for what in ("health", "cameras", "peers", "processes", "events", "devices")]
        paths += ["/metrics", *(f"/api/cameras/{name}" for name in ("plain", "encoded", "environment", "through"))]
        paths += ["/", "/api/no-such-thing", f"/api/cameras/{IN_HEADER[:3]}"]
        for path in paths:
            answer = await request(daemon.port, "GET", path, headers={"Authorization": f"Basic {authorization}"})
            assert path not in paths[:11] or answer.status == 200, path
            found += find_in(path, answer.body + repr(answer.headers).encode())
        headers = {"Authorization": f"Bearer {IN_HEADER}", "Content-Type": "application/sdp"}
        refused = await request(daemon.port, "POST", "/whep/plain", "no offer", headers)
        found += find_in("an answer to an offer", refused.body)
        assert await daemon.end() == 0
    for path_ in (tmp_path / "journal").iterdir():
        found += find_in(path_.name, path_.read_bytes())
    found += find_in("the log", daemon.output.encode())
    assert "***" in daemon.output or "connection refused" in daemon.output
    bundle = tmp_path / "it.zip"
    export(tmp_path / "journal", Wanted(begin_ns, time.time_ns()), bundle, time.time_ns())
    found += find_in(bundle.name, bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        assert b"viewer:***@127.0.0.1" in archive.read("configuration.json")
        for name in archive.namelist():
            found += find_in(f"the bundle's {name}", archive.read(name))
    assert found == []


@pytest.mark.parametrize(
    "address",
    [
        f"http://viewer:{IN_URL}@127.0.0.1:9/",
        f"http://viewer:{IN_FILE}@127.0.0.1:9/",
        "http://127.0.0.1:9/${CAMERA_PASSWORD}",
    ],
)
async def test_a_password_in_an_address_that_ffmpeg_reads_is_shown_nowhere(tmp_path: Path, address: str) -> None:
    """It is handed over on standard input."""
    write_config(tmp_path, {"one": {"ffmpeg": ["-i", address]}})
    async with launch_daemon(tmp_path, {"CAMERA_PASSWORD": IN_ENVIRONMENT}) as daemon:
        await daemon.wait_ready()
        processes = b""
        with give_up_after(30):
            while not any(row.type == "CameraWaiting" for row in daemon.journal()):
                processes += "\n".join(" ".join(each.cmdline) for each in descendants(daemon.pid)).encode()
                await trio.sleep(0.02)
        assert b"concat" in processes
        found = find_in("the list of processes", processes) + find_in("the output", daemon.output.encode())
        for path in ("/api/cameras", "/api/processes", "/api/events", "/api/health"):
            found += find_in(path, (await request(daemon.port, "GET", path)).body)
    for file in (tmp_path / "journal").iterdir():
        found += find_in(file.name, file.read_bytes())
    assert found == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["-headers", f"Authorization: Bearer {IN_HEADER}", "-i", "http://127.0.0.1:9/"],
        ["-passphrase", IN_URL, "-i", "srt://127.0.0.1:9"],
    ],
)
async def test_password_among_the_arguments_of_ffmpeg_is_refused_and_not_shown(
    tmp_path: Path, arguments: list[str]
) -> None:
    """Arguments can be read in the list of processes, so the daemon does not start; the error has no password."""
    write_config(tmp_path, {"one": {"ffmpeg": arguments}})
    async with launch_daemon(tmp_path, {"CAMERA_PASSWORD": IN_ENVIRONMENT}) as daemon:
        await wait_until(lambda: daemon.process.poll() is not None, 20)
        assert daemon.process.returncode == 2
        assert "a password among the arguments of ffmpeg" in daemon.output
        assert find_in("the output", daemon.output.encode()) == []
