"""A real RTSP camera for tests, which can be stopped, restarted on its port, and frozen.

Rules of this file:
1. `rtsp_server.py` is its own program, under the system's Python: GStreamer never enters the test process.
2. The counts come from the server's reports; nothing is inferred from our own sockets.
3. The password goes through the environment: tests that search the process list for it must not find ours.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import quote

import attrs
import av
import trio

from .patience import give_up_after
from .process_group import ProcessGroup, open_background, open_process_group
from .processes import wait_until

SYSTEM_PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server.py")
USER = "viewer"
READY_SECONDS = 15.0  # the first start on a machine builds GStreamer's plugin registry
STOP_SECONDS = 10.0

Codec = Literal["h264", "h265", "mjpeg", "mjpeg422", "mpeg4"]
Audio = Literal["pcma", "pcmu", "opus", "aac", "l16", "l24", "mp2", "mp3", "latm", "speex", "gsm", "amr"]
Auth = Literal["both", "basic", "digest"]
Transport = Literal["tcp", "udp", "multicast"]


class ServerError(Exception):
    """The RTSP server did not start; the message has its last output."""


@attrs.frozen
class Place:
    """Where a server listens: its address, and the command that starts it in a network namespace."""

    address: str = "127.0.0.1"
    command: tuple[str, ...] = ()


class RtspServer:
    """A camera at `url`. Made by `open_rtsp_server`; numbers are as the server last reported them.

    `clients`/`max_clients`: TCP connections now, and the most there ever were at one time; `sessions`: RTSP sessions
    not yet torn down or timed out; `requests`: accepted requests by method (`TEARDOWN`). The totals survive `stop`.
    """

    def __init__(
        self, tasks: trio.Nursery, arguments: list[str], password: str | None, port: int, tls: bool, place: Place
    ) -> None:
        self.port = port
        self.scheme = "rtsps" if tls else "rtsp"
        self.clients = 0
        self.max_clients = 0
        self.sessions = 0
        self.requests: Counter[str] = Counter()
        self._tasks = tasks
        self._place = place
        self._arguments = arguments
        self._password = password
        self._changed = trio.Event()
        self._group: ProcessGroup | None = None
        self._stop = trio.Event()
        self._stopped = trio.Event()
        self._stopped.set()

    @property
    def url(self) -> str:
        """Without credentials, even when they are needed."""
        return f"{self.scheme}://{self._place.address}:{self.port}/main"

    def url_with(self, password: str | None) -> str:
        """The address with user `viewer` and that password, right or wrong."""
        return self.url.replace("//", f"//{USER}:{quote(password or '', safe='')}@", 1)

    @property
    def pid(self) -> int:
        """The server's process. RuntimeError while it is stopped."""
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._group is not None and self._group.running

    async def start(self) -> None:
        """Start, on the same port once one is known, and return when connections are accepted. ServerError if not."""
        if not self._stopped.is_set():
            raise RuntimeError("the server is running already")
        await self._tasks.start(self._run)

    async def stop(self) -> None:
        """TERM, after 2 s KILL, reaped. The clients' connections end with it. Does nothing when stopped."""
        self._stop.set()
        with trio.CancelScope(shield=True), give_up_after(STOP_SECONDS):
            await self._stopped.wait()

    def pause(self) -> None:
        """Freeze: connections stay open, new ones are accepted by the kernel alone, and not a byte comes."""
        self._running().send(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send(signal.SIGCONT)

    def _running(self) -> ProcessGroup:
        if self._group is None:
            raise RuntimeError("the server is stopped")
        return self._group

    async def _run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One life of the process."""
        self._stop, self._stopped = trio.Event(), trio.Event()
        ready = trio.Event()

        def on_line(line: str) -> None:
            if not line.startswith("{"):
                return  # a library's own words
            message = json.loads(line)
            if "port" in message:
                self.port = message["port"]
                ready.set()
            else:
                self._hear(message)

        argv = [*self._place.command, SYSTEM_PYTHON, str(SCRIPT), "--port", str(self.port), *self._arguments]
        argv += ["--address", self._place.address]
        env = dict(os.environ)
        env.pop("RTSP_PASSWORD", None)
        if self._password is not None:
            env["RTSP_PASSWORD"] = self._password
        try:
            async with open_process_group(argv, env=env, on_line=on_line) as group:
                await _wait_ready(group, ready)
                self._group = group
                task_status.started()
                await self._stop.wait()
        finally:
            self._group = None
            self._hear({"event": "stopped", "clients": 0, "sessions": 0})
            self._stopped.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["event"] == "request":
            self.requests[message["method"]] += 1
        else:
            self.clients, self.sessions = message["clients"], message["sessions"]
            self.max_clients = max(self.max_clients, self.clients)
        self._changed.set()
        self._changed = trio.Event()


async def _wait_ready(group: ProcessGroup, ready: trio.Event) -> None:
    try:
        await wait_until(lambda: ready.is_set() or not group.running, READY_SECONDS, what="RTSP server to be ready")
    except TimeoutError as error:
        raise ServerError(f"{error}: {await group.describe_exit()}") from None
    if not ready.is_set():
        raise ServerError(f"the RTSP server did not start: {await group.describe_exit()}")


@asynccontextmanager
async def open_rtsp_server(
    *,
    port: int = 0,
    size: tuple[int, int] = (640, 360),
    fps: int = 30,
    password: str | None = None,
    codec: Codec = "h264",
    audio: Audio | None = None,
    auth: Auth = "both",
    key_frames: int | None = None,
    certificate: Path | None = None,
    encrypted: bool = False,
    b_frames: int = 0,
    transports: tuple[Transport, ...] = ("tcp", "udp"),
    place: Place | None = None,
) -> AsyncIterator[RtspServer]:
    """A running camera for the length of the block; `key_frames` is their distance in frames (None: one second).

    It refuses all but `transports` with 461; `tcp` is also the one in HTTP.
    With a `certificate` (PEM, its key in the same file), which goes with a password, it speaks TLS and nothing else.
    With `encrypted`, its media is SRTP with MIKEY.

    One encoder serves all clients, so the second waits up to that distance for its first key frame.
    Cleanup: the process is ended and reaped on error and cancellation too. Raises ServerError.
    """
    arguments = ["--size", f"{size[0]}x{size[1]}", "--fps", str(fps), "--codec", codec, "--auth", auth]
    arguments += ["--audio", audio] if audio else []
    arguments += ["--key-frames", str(key_frames)] if key_frames else []
    arguments += ["--b-frames", str(b_frames)] if b_frames else []
    arguments += ["--certificate", str(certificate)] if certificate else []
    arguments += ["--encrypted"] if encrypted else []
    arguments += ["--transports", ",".join(transports)]
    async with AsyncExitStack() as stack:
        if codec == "mpeg4":
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="banken-mpeg4-")))
            arguments += ["--file", str(write_mpeg4(folder / "video.mp4", size, fps, key_frames or fps))]
        tasks = await stack.enter_async_context(open_background())
        server = RtspServer(tasks, arguments, password, port, tls=certificate is not None, place=place or Place())
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def write_mpeg4(path: Path, size: tuple[int, int], fps: int, key_frames: int, seconds: int = 60) -> Path:
    """Write a video of MPEG-4 part 2, whose picture changes: Debian's GStreamer has no encoder for it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps, options={"g": str(key_frames), "b": "1000000"})
        assert isinstance(stream, av.VideoStream)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        frame = av.VideoFrame(*size, "yuv420p")
        for index in range(fps * seconds):
            for number, plane in enumerate(frame.planes):
                plane.update(bytes([40 + (3 * index + 50 * number) % 150]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


PACKAGES = {  # what must be there → the Debian package that has it
    "videotestsrc": "gstreamer1.0-plugins-base",
    "opusenc": "gstreamer1.0-plugins-base",
    "alawenc": "gstreamer1.0-plugins-good",
    "rtph264pay": "gstreamer1.0-plugins-good",
    "lamemp3enc": "gstreamer1.0-plugins-good",
    "twolamemp2enc": "gstreamer1.0-plugins-good",
    "x264enc": "gstreamer1.0-plugins-ugly",
    "x265enc": "gstreamer1.0-plugins-bad",
    "mpeg4videoparse": "gstreamer1.0-plugins-bad",
    "jpegenc": "gstreamer1.0-plugins-good",
    "srtpenc": "gstreamer1.0-plugins-bad",
    "voaacenc": "gstreamer1.0-plugins-bad",
}
PROBE = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
print(*(name for name in sys.argv[1:] if Gst.ElementFactory.find(name) is None))
"""


@functools.cache
def missing_reason() -> str | None:
    """Why there can be no RTSP server on this machine and what would help, in words; None when there can.

    Blocks for about 0.2 s, once: meant for `pytest.mark.skipif`.
    """
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        return f"no {SYSTEM_PYTHON} (apt install python3 python3-gst-1.0 gir1.2-gst-rtsp-server-1.0)"
    try:
        probe = subprocess.run([SYSTEM_PYTHON, "-c", PROBE, *PACKAGES], capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return f"{SYSTEM_PYTHON} took more than 30 s to look for GStreamer's elements"
    if probe.returncode != 0:
        words = probe.stderr.strip().splitlines()[-1:] or ["no message"]
        return f"no GStreamer RTSP server for {SYSTEM_PYTHON}: {words[0]} (apt install gir1.2-gst-rtsp-server-1.0)"
    if absent := probe.stdout.split():
        packages = sorted({PACKAGES[name] for name in absent})
        return f"GStreamer lacks {', '.join(absent)} (apt install {' '.join(packages)})"
    return None


@functools.cache
def webrtcbin_missing_reason() -> str | None:
    """As `missing_reason`, for `ops/stacks/gst_viewer.py`."""
    viewer = Path(__file__).parents[2] / "ops" / "stacks" / "gst_viewer.py"
    try:
        probe = subprocess.run([SYSTEM_PYTHON, viewer], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{SYSTEM_PYTHON} cannot look for GStreamer's elements: {error}"
    packages = "apt install python3-gst-1.0 gstreamer1.0-nice gir1.2-gst-plugins-bad-1.0"
    words = probe.stderr.strip().splitlines()[-1:]
    return f"GStreamer lacks {' '.join(words)} ({packages})" if words or probe.returncode else None
