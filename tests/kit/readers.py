"""Programs that people use, as readers of banken by RTSP: each decodes what it reads, and its frames are counted.

Rules of this file:
- A program that re-serves what it reads is read by ffmpeg, and one that records is judged by its files.
- The camera is a real RTSP server, which counts its connections.
"""

import json
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from actors.media.ffmpeg import find_ffmpeg

from .daemon import MANY_REQUESTS, Daemon, open_daemon
from .gst import SYSTEM_PYTHON, open_rtsp_server
from .patience import PATIENCE
from .processes import wait_until

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / ".cache" / "servers"
"""Where `ops/other_servers.py` puts the Go programs."""
FPS = 15
START_S = 60.0
END_S = 10.0
TCP = ("-rtsp_transport", "tcp")


@attrs.frozen
class Read:
    """The result of one reader."""

    name: str
    frames: int
    seconds: float
    """Of the window in which it read."""
    problem: str = ""

    @property
    def rate(self) -> float:
        return self.frames / self.seconds


@attrs.frozen
class Outcome:
    reads: tuple[Read, ...]
    connections: int
    """The most that the camera has had at a time."""
    plays: int
    """How often the camera was asked to play."""


def free_port() -> int:
    """A TCP port on which nothing listens now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def open_readable(
    folder: Path, cameras: Mapping[str, object], more: str = ""
) -> AsyncIterator[tuple[Daemon, str]]:
    """A daemon that readers may read, and the beginning of their addresses."""
    port = free_port()
    limits = "" if "limits:" in more else f"\nlimits: {{{MANY_REQUESTS}}}"
    async with open_daemon(folder, cameras, f'rtsp: {{listen: "127.0.0.1:{port}"}}\n{more}{limits}') as daemon:
        yield daemon, f"rtsp://127.0.0.1:{port}/"


async def ffmpeg(arguments: Sequence[str], within_s: float) -> tuple[str, str]:
    """Run ffmpeg to its end. Returns its output and its complaints."""
    with trio.fail_after(within_s * PATIENCE):
        command = [find_ffmpeg(), "-hide_banner", "-nostdin", "-v", "error", *arguments]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    problem = done.stderr.decode(errors="replace").strip()
    return done.stdout.decode(), problem or (f"exit {done.returncode}" if done.returncode else "")


async def decode(name: str, url: str, seconds: float, *options: str) -> Read:
    """Read `url` with ffmpeg for `seconds`, and count the decoded frames."""
    arguments = [*options, "-i", url, "-t", f"{seconds:g}", "-progress", "pipe:1", "-f", "null", "-"]
    told, problem = await ffmpeg(arguments, seconds + START_S)
    frames = [int(found) for found in re.findall(r"^frame=(\d+)", told, re.MULTILINE)]
    return Read(name, frames[-1] if frames else 0, seconds, problem)


async def by_ffmpeg(transport: str, folder: Path, url: str, seconds: float) -> Read:
    return await decode(f"ffmpeg, {transport.upper()}", url, seconds, "-rtsp_transport", transport)


async def by_ffmpeg_copy(folder: Path, url: str, seconds: float) -> Read:
    """As a recorder does it: into files of 5 s, without decoding; the files are decoded afterwards."""
    target = folder / "copied-%03d.mkv"
    copy = ["-i", url, "-t", f"{seconds:g}", "-c", "copy", "-f", "segment", "-segment_time", "5", str(target)]
    _, problem = await ffmpeg([*TCP, *copy], seconds + START_S)
    return await _of_files("ffmpeg, copied to files", _files(folder, "copied-*.mkv"), seconds, problem)


async def by_gstreamer(transport: str, folder: Path, url: str, seconds: float) -> Read:
    name = f"GStreamer, {transport.upper()}"
    command = [SYSTEM_PYTHON, str(ROOT / "ops" / "stacks" / "gst_reader.py"), url, transport, f"{seconds:g}"]
    with trio.fail_after((seconds + START_S) * PATIENCE):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    words = done.stdout.split()
    problem = "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip()[-200:]
    return Read(name, int(words[0]) if words else 0, seconds, problem)


async def by_go2rtc(folder: Path, url: str, seconds: float) -> Read:
    """go2rtc reads it, and ffmpeg reads go2rtc."""
    port = free_port()
    config = {
        "api": {"listen": f"127.0.0.1:{free_port()}"},
        "rtsp": {"listen": f"127.0.0.1:{port}"},
        "webrtc": {"listen": ""},
        "streams": {"gate": url},
    }
    async with _background([str(SERVERS / "go2rtc"), "-config", json.dumps(config)], port):
        return await decode("go2rtc", f"rtsp://127.0.0.1:{port}/gate", seconds, *TCP)


async def by_mediamtx(folder: Path, url: str, seconds: float) -> Read:
    """mediamtx reads it and records it; the files are decoded afterwards."""
    port, home = free_port(), folder / "mediamtx"
    home.mkdir()
    config = {
        **dict.fromkeys(("rtmp", "hls", "srt", "webrtc", "moq"), False),
        "rtspAddress": f"127.0.0.1:{port}",
        "rtspTransports": ["tcp"],
        "paths": {
            "gate": {
                "source": url,
                "rtspTransport": "tcp",
                "record": True,
                "recordPath": f"{home}/%path-%s-%f",
                "recordSegmentDuration": "10s",
            }
        },
    }
    (home / "mediamtx.yml").write_text(json.dumps(config))
    async with _background([str(SERVERS / "mediamtx"), str(home / "mediamtx.yml")], port):
        read = await decode("mediamtx", f"rtsp://127.0.0.1:{port}/gate", seconds, *TCP)
    files = await _of_files("mediamtx, recorded", _files(home, "gate-*.mp4"), seconds, read.problem)
    return attrs.evolve(
        read, name="mediamtx, and its recording", frames=min(read.frames, files.frames), problem=files.problem
    )


async def by_banken(folder: Path, url: str, seconds: float) -> Read:
    """A second banken has it as a camera, and ffmpeg reads that one."""
    home = folder / "second"
    home.mkdir()
    async with open_readable(home, {"gate": url}) as (daemon, second):
        await daemon.wait_camera("gate", "live")
        return await decode("banken", f"{second}gate", seconds, *TCP)


PROGRAMS: Mapping[str, Callable[[Path, str, float], Awaitable[Read]]] = {
    "ffmpeg-tcp": partial(by_ffmpeg, "tcp"),
    "ffmpeg-udp": partial(by_ffmpeg, "udp"),
    "ffmpeg-copy": by_ffmpeg_copy,
    "gstreamer-tcp": partial(by_gstreamer, "tcp"),
    "gstreamer-udp": partial(by_gstreamer, "udp"),
    "go2rtc": by_go2rtc,
    "mediamtx": by_mediamtx,
    "banken": by_banken,
}


def missing(programs: Sequence[str]) -> list[str]:
    """Those of `programs` that this machine does not have."""
    return [name for name in programs if name in ("go2rtc", "mediamtx") and not (SERVERS / name).exists()]


async def run_readers(folder: Path, seconds: float, programs: Sequence[str]) -> Outcome:
    """All `programs` read the same camera of one daemon at the same time, for `seconds`."""
    reads: list[Read] = []

    async def read(name: str, url: str) -> None:
        home = folder / name
        home.mkdir()
        reads.append(await PROGRAMS[name](home, url, seconds))

    async with open_rtsp_server(size=(320, 180), fps=FPS) as camera:
        gate = {"source": camera.url, "mode": "on_demand", "device": "box"}
        async with open_readable(folder, {"gate": gate}, "devices: {box: {max_connections: 2}}") as (daemon, url):
            async with trio.open_nursery() as nursery:
                for name in programs:
                    nursery.start_soon(read, name, f"{url}gate")
            await _wait_no_peer(daemon)
        return Outcome(tuple(sorted(reads, key=lambda each: each.name)), camera.max_clients, camera.requests["PLAY"])


async def _wait_no_peer(daemon: Daemon) -> None:
    with trio.fail_after(END_S * PATIENCE):
        while (await daemon.get("/api/peers"))["peers"]:  # noqa: ASYNC110 - a daemon tells nobody
            await trio.sleep(0.1)


async def _of_files(name: str, files: Sequence[Path], seconds: float, problem: str) -> Read:
    """Decode recorded files, and count their frames."""
    frames = 0
    for file in files:
        read = await decode(name, str(file), 24 * 3600)
        frames, problem = frames + read.frames, problem or read.problem
    return Read(name, frames, seconds, problem)


@asynccontextmanager
async def _background(command: Sequence[str], port: int) -> AsyncIterator[None]:
    """Run a server for the block, from when something accepts connections at `port`."""
    process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await wait_until(lambda: _accepts(port), START_S, what=f"the server of {command[0]}")
        yield
    finally:
        process.terminate()
        with trio.move_on_after(END_S) as wait:
            wait.shield = True
            await process.wait()
        if process.returncode is None:
            process.kill()


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
