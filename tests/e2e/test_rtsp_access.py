"""Programs that people use read cameras by RTSP with a token, and stop when it is taken away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import trio

from supervisor.domain import events as e
from tests.kit.accounts import ANNA, PASSWORDS, Browser
from tests.kit.daemon import Daemon
from tests.kit.patience import PATIENCE
from tests.kit.processes import wait_until
from tests.kit.readers import FPS, PROGRAMS, Read, missing, open_readable

PATTERN = "test:320x180@15"
WITHIN_S = 60.0
SECONDS, LEAST = 6.0, 0.7
"""LEAST: of the frames of the camera; a recorder begins and ends at a key frame."""
ADMIN = {"user": ANNA, "password": PASSWORDS[ANNA], "role": "admin", "everything": True}
NVR = {"token": "nvr", "role": "watcher", "cameras": ["gate"], "rtsp": True}


@attrs.frozen
class Guarded:
    """A daemon with a user, whose readers log in."""

    daemon: Daemon
    chief: Browser
    base: str
    """The beginning of the addresses, without a login."""

    async def token(self, **others: object) -> str:
        """Make a token; returns its secret."""
        answer = await self.chief.post("/api/tokens", {**NVR, **others})
        assert answer.status == 201, answer.body
        return str(answer.json["secret"])

    def url(self, secret: str, camera: str = "gate", name: str = "nvr") -> str:
        return f"rtsp://{name}:{secret}@{self.base.removeprefix('rtsp://')}{camera}"

    def events(self, kind: type[e.Event]) -> list[e.Event]:
        return [row.event for row in self.daemon.journal() if isinstance(row.event, kind)]


@asynccontextmanager
async def open_guarded(folder: Path) -> AsyncIterator[Guarded]:
    async with open_readable(folder, {"gate": PATTERN, "hall": PATTERN}) as (daemon, base):
        for camera in ("gate", "hall"):
            await daemon.wait_camera(camera, "live")
        chief = Browser(daemon.port)
        assert (await chief.post("/api/users", ADMIN)).status == 201
        assert (await chief.log_in(ANNA)).status == 201
        yield Guarded(daemon, chief, base)


async def ffmpeg(url: str, transport: str = "tcp", frames: int = 20) -> tuple[int, str]:
    """Decode some frames. Returns the exit code and what ffmpeg says."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-rtsp_transport", transport, "-i", url]
    with trio.fail_after(WITHIN_S * PATIENCE):
        done = await trio.run_process(
            [*command, "-frames:v", str(frames), "-f", "null", "-"], capture_stderr=True, check=False
        )
    return done.returncode, done.stderr.decode(errors="replace")


@asynccontextmanager
async def reading(here: Guarded, url: str, transport: str) -> AsyncIterator[trio.Process]:
    """ffmpeg, which reads until something ends it."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", transport, "-timeout", "3000000", "-i", url]
    process = await trio.lowlevel.open_process([*command, "-f", "null", "-"], stderr=-3)
    try:
        with trio.fail_after(WITHIN_S * PATIENCE):
            while "connected" not in [each["state"] for each in await peers(here)]:  # noqa: ASYNC110 - another process
                await trio.sleep(0.05)
        yield process
    finally:
        process.kill()
        await process.wait()


async def peers(here: Guarded) -> list[dict[str, object]]:
    return list((await here.chief.get("/api/peers")).json["peers"])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_ffmpeg_reads_with_a_token_and_not_without(tmp_path: Path, transport: str) -> None:
    """A wrong token, another camera and no login are refused; the journal names the token of the reader."""
    async with open_guarded(tmp_path) as here:
        secret = await here.token()
        assert await ffmpeg(here.url(secret), transport) == (0, "")
        for url, status in (
            (f"{here.base}gate", "401"),
            (here.url("nvr.wrong"), "401"),
            (here.url(secret, "hall"), "404"),
            (here.url(secret, "nope"), "404"),
            (here.url(secret, name="nobody"), "401"),
        ):
            code, said = await ffmpeg(url, transport)
            assert code != 0 and status in said, (url, said)
        opened = [row for row in here.daemon.journal() if isinstance(row.event, e.PeerOpened)]
        assert [row.principal for row in opened] == ["token:nvr"]
        assert secret.removeprefix("nvr.") not in str(here.daemon.journal())
        assert here.events(e.LoginFailed)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("is_over", [False, True], ids=["revoked", "over"])
async def test_reader_ends_with_its_token(tmp_path: Path, transport: str, is_over: bool) -> None:
    """Within a second of the revocation, or of the token's end; the journal has the reason."""
    async with open_guarded(tmp_path) as here:
        end = (datetime.now(UTC) + timedelta(seconds=8)).isoformat()
        secret = await here.token(**({"until": end} if is_over else {}))
        async with reading(here, here.url(secret), transport):
            (shown,) = await peers(here)
            assert (shown["token"], shown["transport"]) == ("nvr", transport)
            if not is_over:
                assert (await here.chief.delete("/api/tokens/nvr")).status == 204
            await wait_until(lambda: bool(here.events(e.PeerClosed)), WITHIN_S, what="the end of the reader")
        rows = here.daemon.journal()
        ended = next(row for row in rows if isinstance(row.event, e.TokenEnded))
        closed = next(row for row in rows if isinstance(row.event, e.PeerClosed))
        assert isinstance(closed.event, e.PeerClosed)
        assert closed.event.reason.code == ("over" if is_over else "token-ended")
        assert (closed.wall_ns - ended.wall_ns) / 1e9 < 1 * PATIENCE
        if is_over:
            until_ns = datetime.fromisoformat(end).timestamp() * 1e9
            assert (ended.wall_ns - until_ns) / 1e9 < 1 * PATIENCE


@pytest.mark.slow
async def test_programs_read_with_a_token(tmp_path: Path) -> None:
    """All programs of `ops/readers.py` that are here log in, with MD5 or SHA-256, with `qop` or without."""
    reads: list[Read] = []

    async def read(name: str, url: str) -> None:
        home = tmp_path / name
        home.mkdir()
        reads.append(await PROGRAMS[name](home, url, SECONDS))

    async with open_guarded(tmp_path) as here:
        url = here.url(await here.token())
        async with trio.open_nursery() as nursery:
            for name in PROGRAMS:
                if not missing([name]):
                    nursery.start_soon(read, name, url)
        rows = here.daemon.journal()
    assert {each.name: each.problem for each in reads if each.problem} == {}
    assert {each.name for each in reads if each.rate < LEAST * FPS} == set()
    assert {row.principal for row in rows if isinstance(row.event, e.PeerOpened)} == {"token:nvr"}
    assert not any(isinstance(row.event, e.LoginFailed) for row in rows)
