"""The measured servers: banken, and those that it is compared with. Each runs as a whole in a separate process."""

import json
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType

import attrs
import trio

from .processes import READY_S, ROOT, BenchError, open_part, python
from .signalling import fetch
from .stream import PAYLOAD_TYPE

BUILT = ROOT / ".cache" / "servers"
"""Where `ops/other_servers.py` puts the Go programs."""
LIMITS = {
    **dict.fromkeys(("peers", "peers_per_camera", "peers_per_client", "journaled_burst"), 10_000),
    "journaled_rate": 1000,
}
"""Settings below `limits` that let all viewers of a bench come from one address."""


@attrs.frozen
class Server:
    """A running server that sends video."""

    name: str
    pid: int
    urls: tuple[str, ...]
    """Addresses for viewers, one for each camera, as in a `Plan`."""
    metrics: str | None = None
    """Address of its loop lag metric."""

    async def loop_lag_s(self) -> float | None:
        """Return the p99 of the loop lag over about the last ten seconds, in seconds; None without such a metric."""
        if self.metrics is None:
            return None
        text = await trio.to_thread.run_sync(fetch, self.metrics)
        line = next((x for x in text.splitlines() if x.startswith('banken_loop_lag_seconds{quantile="0.99"}')), "")
        return float(line.split()[1]) if line else None


Open = Callable[[Path, int, bool], AbstractAsyncContextManager[Server]]
"""`open_x(file, cameras, stamps)`: a server that plays the file as `cameras` cameras.

With `stamps`, each access unit carries the time at which it was sent.
"""


@asynccontextmanager
async def open_banken(file: Path, cameras: int, stamps: bool) -> AsyncIterator[Server]:
    """Start banken, which reads its cameras over RTSP."""
    async with open_cameras(file, cameras, stamps) as sources, open_daemon(sources) as server:
        yield server


@asynccontextmanager
async def open_daemon(
    cameras: Mapping[str, object],
    code: Path = ROOT,
    limits: Mapping[str, int] = LIMITS,
    more: Mapping[str, object] = MappingProxyType({}),
) -> AsyncIterator[Server]:
    """Start `banken run` of the checkout `code` with these cameras (name: source), and wait until all are live.

    `more`: further sections of the configuration. Raises `BenchError`.
    """
    config = {"web": {"listen": "127.0.0.1:0"}, "limits": dict(limits), "cameras": dict(cameras), **more}
    with _folder({"banken.yaml": json.dumps(config)}) as folder:
        async with open_part("banken", python("supervisor", "run", f"{folder}/banken.yaml"), code=code) as part:
            base = (await part.read_line()).split()[-1].rstrip("/")
            with trio.move_on_after(READY_S + len(cameras)) as waiting:
                while True:
                    shown = json.loads(await trio.to_thread.run_sync(fetch, f"{base}/api/cameras"))
                    if all(camera["state"] == "live" for camera in shown["cameras"]):
                        break
                    await trio.sleep(0.1)
            if waiting.cancelled_caught:
                raise BenchError(f"banken's cameras are not live: {part.errors.decode(errors='replace')}")
            urls = tuple(f"{base}/whep/{name}" for name in cameras)
            yield Server("banken", part.pid, urls, f"{base}/metrics")


@asynccontextmanager
async def open_stock(file: Path, cameras: int, _stamps: bool) -> AsyncIterator[Server]:
    """Start aiortc, which reads the file itself, without stamps."""
    async with open_part("aiortc", python("ops.bench.lib.stock", str(file), str(cameras))) as part:
        base = f"http://127.0.0.1:{int(await part.read_line())}"
        yield Server("aiortc", part.pid, tuple(f"{base}/whep/cam{n}" for n in range(cameras)), f"{base}/metrics")


def janus_at(program: Path) -> Open:
    """Return an opener for Debian's Janus: installed, or unpacked with the same folders around its program."""
    prefix = program.resolve().parents[1]
    libraries = next((path.parents[1] for path in sorted(prefix.glob("lib/*/janus/plugins"))), None)

    @asynccontextmanager
    async def open_janus(file: Path, cameras: int, stamps: bool) -> AsyncIterator[Server]:
        if libraries is None:
            raise BenchError(f"Janus's plugins are not under {prefix}/lib")
        api, *ports = free_ports(1 + cameras)
        with _folder(_janus_files(libraries / "janus", api, ports)) as folder:
            environment = {"LD_LIBRARY_PATH": str(libraries)}
            feeder = python("ops.bench.lib.camera", str(file), *(f"--rtp={port}" for port in ports), *_stamped(stamps))
            command = [str(program), "--configs-folder", folder, "--config", f"{folder}/janus.jcfg"]
            async with open_part("Janus", command, environment=environment) as part, open_part("the feeder", feeder):
                base = f"http://127.0.0.1:{api}/janus"
                await _wait_answering(f"{base}/info")
                yield Server("Janus", part.pid, tuple(f"janus+{base}#{n + 1}" for n in range(cameras)))

    return open_janus


def go2rtc_at(program: Path, *, preload: bool = False) -> Open:
    """Return an opener for go2rtc, which reads its cameras over RTSP and serves WHEP.

    It reads a camera while somebody watches; with `preload`, always.
    """

    @asynccontextmanager
    async def open_go2rtc(file: Path, cameras: int, stamps: bool) -> AsyncIterator[Server]:
        api, webrtc = free_ports(2)
        async with open_cameras(file, cameras, stamps) as sources:
            config = {
                "api": {"listen": f"127.0.0.1:{api}"},
                "rtsp": {"listen": ""},
                "webrtc": {"listen": f":{webrtc}", "ice_servers": []},
                "streams": sources,
                "preload": dict.fromkeys(sources, "video") if preload else {},
            }
            async with open_part("go2rtc", [str(program), "-config", json.dumps(config)]) as part:
                base = f"http://127.0.0.1:{api}/api"
                await _wait_answering(base)
                yield Server("go2rtc", part.pid, tuple(f"{base}/webrtc?src={name}" for name in sources))

    return open_go2rtc


def mediamtx_at(program: Path, *, record: bool = False) -> Open:
    """Return an opener for mediamtx, which reads its cameras over RTSP and serves WHEP; with `record`, records them."""

    @asynccontextmanager
    async def open_mediamtx(file: Path, cameras: int, stamps: bool) -> AsyncIterator[Server]:
        web, udp = free_ports(2)
        with _folder({}) as recordings:
            config: dict[str, object] = {
                **dict.fromkeys(("rtsp", "rtmp", "hls", "srt", "moq"), False),
                "webrtcAddress": f"127.0.0.1:{web}",
                "webrtcLocalUDPAddress": f":{udp}",
                "pathDefaults": {"record": record, "recordPath": f"{recordings}/%path/%Y-%m-%d_%H-%M-%S-%f"},
            }
            async with open_cameras(file, cameras, stamps) as sources:
                config["paths"] = {name: {"source": url, "rtspTransport": "tcp"} for name, url in sources.items()}
                with _folder({"mediamtx.yml": json.dumps(config)}) as folder:
                    async with open_part("mediamtx", [str(program), f"{folder}/mediamtx.yml"]) as part:
                        base = f"http://127.0.0.1:{web}"
                        await _wait_answering(f"{base}/cam0")
                        yield Server("mediamtx", part.pid, tuple(f"{base}/{name}/whep" for name in sources))

    return open_mediamtx


At = Callable[[Path], Open]
"""`x_at(program)`: an opener for the server whose program is at this path."""
OTHERS: dict[str, At] = {"Janus": janus_at, "go2rtc": go2rtc_at, "mediamtx": mediamtx_at}


@asynccontextmanager
async def open_cameras(file: Path, count: int, stamps: bool = False) -> AsyncIterator[dict[str, str]]:
    """Start `count` RTSP cameras that play the file, in one process; yields the name and URL of each."""
    async with open_part("the cameras", python("ops.bench.lib.camera", str(file), "--rtsp", *_stamped(stamps))) as part:
        port = int(await part.read_line())
        yield {f"cam{n}": f"rtsp://127.0.0.1:{port}/cam{n}" for n in range(count)}


def _stamped(stamps: bool) -> list[str]:
    return ["--stamps"] if stamps else []


@contextmanager
def _folder(files: Mapping[str, str]) -> Iterator[str]:
    """Create a folder with these files (name: text) for the block."""
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        yield folder


def _janus_files(home: Path, api: int, ports: list[int]) -> dict[str, str]:
    general = {
        "plugins_folder": str(home / "plugins"), "transports_folder": str(home / "transports"),
        "session_timeout": 0, "debug_level": 2,
    }  # fmt: skip
    others = [path.name for path in (home / "plugins").glob("*.so") if path.name != "libjanus_streaming.so"]
    transports = [path.name for path in (home / "transports").glob("*.so") if path.name != "libjanus_http.so"]
    http = {"json": "compact", "base_path": "/janus", "http": True, "port": api, "ip": "127.0.0.1"}
    mounts = "".join(
        f"cam{n}: {{ type = \"rtp\"; id = {n + 1}; media = ( {{ type = \"video\"; mid = \"v\"; port = {port}; "
        f"pt = {PAYLOAD_TYPE}; codec = \"h264\"; fmtp = \"profile-level-id=42e01f;packetization-mode=1\"; }} ); }}\n"
        for n, port in enumerate(ports)
    )  # fmt: skip
    disabled = f'plugins: {{ disable = "{",".join(others)}" }}\ntransports: {{ disable = "{",".join(transports)}" }}\n'
    return {
        "janus.jcfg": f"general: {_libconfig(general)}\n{disabled}",
        "janus.transport.http.jcfg": f"general: {_libconfig(http)}\n",
        "janus.plugin.streaming.jcfg": mounts,
    }


def _libconfig(values: Mapping[str, object]) -> str:
    return "{ " + " ".join(f"{key} = {json.dumps(value)};" for key, value in values.items()) + " }"


def free_ports(count: int) -> list[int]:
    """Return TCP ports on which nothing listens now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


async def _wait_answering(url: str) -> None:
    """Wait until anything answers at `url`, with any status. Raises `BenchError` after `READY_S`."""
    with trio.move_on_after(READY_S):
        while True:
            try:
                await trio.to_thread.run_sync(fetch, url)
            except ConnectionError:
                await trio.sleep(0.1)
            except OSError:
                return
            else:
                return
    raise BenchError(f"nothing answers at {url}")
