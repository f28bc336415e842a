"""Real RTSP servers as cameras: `.venv/bin/python ops/real_cameras.py [WORD …] [--write]`.

GStreamer's RTSP server, mediamtx (plain, with strict encryption, with small packets), go2rtc and ffmpeg serve a test
pattern with a tone. They serve H.264 and H.265, with each of their audio codecs, over TCP, UDP and TLS; ffmpeg, which
cannot serve RTSP, over HTTP. `ops/other_servers.py` builds mediamtx and go2rtc. Chromium decodes the pictures of H.264;
those of H.265, which it does not have, are taken as snapshots. A viewer by aiortc hears the tone. Prints one line for
each; `--write` renews the table in `docs/cameras.md`. Exit code 1: one is not shown.
"""

import argparse
import json
import re
import socket
import sys
import tempfile
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from actors.media.oddities import Oddity  # noqa: E402
from ops.bench.lib.servers import BUILT  # noqa: E402
from tests.kit.certificates import write_certificate  # noqa: E402
from tests.kit.chromium import open_chromium  # noqa: E402
from tests.kit.daemon import Daemon, open_daemon  # noqa: E402
from tests.kit.gst import open_rtsp_server  # noqa: E402
from tests.kit.http import request  # noqa: E402
from tests.kit.page import JavaScriptError  # noqa: E402
from tests.kit.process_group import open_process_group  # noqa: E402
from tests.kit.processes import wait_until  # noqa: E402
from tests.kit.viewer import open_viewer  # noqa: E402

PAGE = ROOT / "ops" / "docs" / "cameras.md"
BEGIN, END = "<!-- servers: begin -->", "<!-- servers: end -->"
VIDEO = {
    "h264": ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-bf", "0"),
    "h265": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=15:bframes=0:log-level=none"),
}
AUDIO = {
    "aac": ("-c:a", "aac", "-ar", "48000", "-ac", "2"),
    "aac-latm": ("-c:a", "aac", "-ar", "48000", "-ac", "2", "-rtpflags", "latm"),
    "opus": ("-c:a", "libopus", "-ar", "48000", "-ac", "2"),
    "pcma": ("-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"),
    "pcmu": ("-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"),
    "g722": ("-c:a", "g722", "-ar", "16000", "-ac", "1"),
    "g726": ("-c:a", "g726", "-b:a", "32k", "-ar", "8000", "-ac", "1"),
    "l16": ("-c:a", "pcm_s16be", "-ar", "44100", "-ac", "2"),
    "mp2": ("-c:a", "mp2", "-ar", "48000", "-ac", "2"),
    "mp3": ("-c:a", "libmp3lame", "-ar", "44100", "-ac", "2"),
}
FEW_BYTES = 200
"""Payload of a packet, in bytes, that is too small for a frame of AAC."""
TONE_HZ = 440
AT_ONCE = 4
"""Cameras on one page."""


@attrs.frozen
class Real:
    """One server with one stream, and how banken reads it."""

    server: str
    video: str
    audio: str
    transport: str

    @property
    def name(self) -> str:
        return "-".join((self.server, self.video, self.audio or "silent", self.transport)).replace(" ", "-")

    @property
    def passed_on(self) -> str:
        """The codec that viewers receive."""
        return "h264" if self.server == "ffmpeg" else self.video


def all_combinations() -> Iterator[Real]:
    for video in VIDEO:
        for audio in ("", "pcma", "pcmu", "opus", "aac"):
            yield Real("gstreamer", video, audio, "tcp")
        yield Real("gstreamer", video, "aac", "udp")
        yield Real("gstreamer", video, "pcmu", "http")
        yield Real("gstreamer", video, "pcma", "tls")
        for audio in ("", *AUDIO):
            yield Real("mediamtx", video, audio, "tcp")
        yield Real("mediamtx", video, "opus", "udp")
        yield Real("mediamtx", video, "aac", "tls")
        yield Real("mediamtx strict", video, "opus", "tls")
        yield Real("mediamtx strict", video, "aac", "tls")
        yield Real("mediamtx fragments", video, "aac", "tcp")
        for audio in ("", "aac", "opus", "pcma", "l16"):
            yield Real("go2rtc", video, audio, "tcp")
        for audio in ("", "aac", "mp2", "mp3"):
            yield Real("ffmpeg", video, audio, "http")


@attrs.define
class Result:
    real: Real
    pictures: int = 0
    """Decoded within a few seconds; 1 for a snapshot."""
    tone_hz: float = 0.0
    """Frequency of what is heard; 0 without audio."""
    problem: str = ""

    @property
    def shown(self) -> bool:
        return not self.problem


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _even_ports() -> tuple[int, int]:
    """Return two adjacent UDP ports, the first of them even."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            port = int(bound.getsockname()[1])
        if port % 2 == 0 and port < 65_000:
            return port, port + 1


@asynccontextmanager
async def _open(command: Sequence[str], port: int) -> AsyncIterator[None]:
    """Run a server until it accepts connections at `port`, and end it at the end of the block."""
    async with open_process_group(command):

        def answers() -> bool:
            with socket.socket() as tried:
                return tried.connect_ex(("127.0.0.1", port)) == 0

        await wait_until(answers, 20, what=f"{command[0]} at {port}")
        yield


@asynccontextmanager
async def open_mediamtx(
    folder: Path, paths: dict[str, object], *, certificate: Path, strict: bool = False, payload: int = 1452
) -> AsyncIterator[tuple[int, int]]:
    """Run mediamtx; yields its ports for rtsp:// and rtsps://. It splits what does not fit into `payload` bytes."""
    plain, secure = _free_port(), _free_port()
    (rtp, rtcp), (srtp, srtcp) = _even_ports(), _even_ports()
    others = dict.fromkeys(("rtmp", "hls", "webrtc", "srt", "moq", "api", "metrics"), False)
    config = others | {
        "logLevel": "error",
        "rtspEncryption": "strict" if strict else "optional",
        "udpMaxPayloadSize": payload,
        "rtspAddress": f"127.0.0.1:{plain}",
        "rtspsAddress": f"127.0.0.1:{secure}",
        "rtpAddress": f"127.0.0.1:{rtp}",
        "rtcpAddress": f"127.0.0.1:{rtcp}",
        "srtpAddress": f"127.0.0.1:{srtp}",
        "srtcpAddress": f"127.0.0.1:{srtcp}",
        "rtspServerCert": str(certificate),
        "rtspServerKey": str(certificate),
        "paths": paths,
    }
    file = folder / f"mediamtx-{plain}.yml"
    file.write_text(json.dumps(config))
    async with _open([str(BUILT / "mediamtx"), str(file)], secure if strict else plain):
        yield plain, secure


def encode(video: str, audio: str, *output: str) -> list[str]:
    """Return the command of an ffmpeg that encodes a test pattern with a tone at its pace."""
    tone = ("-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000") if audio else ()
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15"]
    return [*command, *tone, *VIDEO[video], "-g", "15", *(AUDIO[audio] if audio else ()), *output]


@asynccontextmanager
async def publish(video: str, audio: str, url: str) -> AsyncIterator[None]:
    """Have ffmpeg send a test pattern with a tone to an RTSP server until the end of the block."""
    async with open_process_group(encode(video, audio, "-f", "rtsp", "-rtsp_transport", "tcp", url)):
        yield


@asynccontextmanager
async def serve(video: str, audio: str) -> AsyncIterator[list[str]]:
    """Have ffmpeg serve the same over HTTP to one client; yields the arguments of banken's ffmpeg.

    It begins to listen at once. An ffmpeg before 6.1 cannot pass on H.265 to banken, so this is encoded.
    """
    url = f"http://127.0.0.1:{_free_port()}/stream.ts"
    coding = "copy" if video == "h264" else "libx264"
    async with open_process_group(encode(video, audio, "-f", "mpegts", "-listen", "1", url)):
        yield ["-i", url, "-c:v", coding, *(VIDEO["h264"][2:] if coding != "copy" else ())]


@asynccontextmanager
async def open_sources(folder: Path, reals: Sequence[Real]) -> AsyncIterator[dict[str, dict[str, object]]]:
    """Run the servers of these combinations; yields the configuration of a camera for each."""
    certificate = write_certificate(folder / "camera.pem")
    cameras: dict[str, dict[str, object]] = {}
    async with AsyncExitStack() as stack:
        streams = {
            f"{real.video}-{real.audio or 'silent'}": real
            for real in reals
            if real.server not in ("gstreamer", "ffmpeg")
        }
        if streams:
            opened = open_mediamtx(folder, {"all_others": {}}, certificate=certificate)
            plain, secure = await stack.enter_async_context(opened)
            for stream, real in streams.items():
                await stack.enter_async_context(publish(real.video, real.audio, f"rtsp://127.0.0.1:{plain}/{stream}"))
            pulled = {stream: {"source": f"rtsp://127.0.0.1:{plain}/{stream}"} for stream in streams}
            if any(real.server == "mediamtx strict" for real in reals):
                opened = open_mediamtx(folder, dict(pulled), strict=True, certificate=certificate)
                _, strict = await stack.enter_async_context(opened)
            if any(real.server == "mediamtx fragments" for real in reals):
                opened = open_mediamtx(folder, dict(pulled), certificate=certificate, payload=FEW_BYTES)
                small, _ = await stack.enter_async_context(opened)
            if any(real.server == "go2rtc" for real in reals):
                go2rtc, config = _free_port(), folder / "go2rtc.json"
                others = {"api": {"listen": ""}, "webrtc": {"listen": ""}, "srtp": {"listen": ""}}
                named = {stream: source["source"] for stream, source in pulled.items()}
                config.write_text(json.dumps(others | {"rtsp": {"listen": f"127.0.0.1:{go2rtc}"}, "streams": named}))
                await stack.enter_async_context(_open([str(BUILT / "go2rtc"), "-config", str(config)], go2rtc))
        for real in reals:
            stream = f"{real.video}-{real.audio or 'silent'}"
            if real.server == "ffmpeg":
                cameras[real.name] = {"ffmpeg": await stack.enter_async_context(serve(real.video, real.audio))}
                continue
            if real.server == "gstreamer":
                how = {"certificate": certificate, "password": "gst"} if real.transport == "tls" else {}
                opened_gst = open_rtsp_server(
                    size=(320, 180), fps=15, codec=real.video, audio=real.audio or None, **how
                )  # type: ignore[arg-type]
                server = await stack.enter_async_context(opened_gst)
                url = server.url_with("gst") if how else server.url
            elif real.server == "go2rtc":
                url = f"rtsp://127.0.0.1:{go2rtc}/{stream}"
            elif real.server == "mediamtx fragments":
                url = f"rtsp://127.0.0.1:{small}/{stream}"
            elif real.server == "mediamtx strict":
                url = f"rtsps://127.0.0.1:{strict}/{stream}"
            else:
                url = (
                    f"rtsps://127.0.0.1:{secure}/{stream}"
                    if real.transport == "tls"
                    else f"rtsp://127.0.0.1:{plain}/{stream}"
                )
            cameras[real.name] = {"source": url} | (
                {"transport": real.transport} if real.transport in ("udp", "http") else {}
            )
        yield cameras


def frequency(samples: Sequence[int], rate: int) -> float:
    """Return the frequency of a tone in Hz, by its rising zero crossings; 0 for silence."""
    if max(map(abs, samples), default=0) < 1000:
        return 0.0
    rising = [at for at in range(1, len(samples)) if samples[at - 1] < 0 <= samples[at]]
    return (len(rising) - 1) * rate / (rising[-1] - rising[0]) if len(rising) > 1 else 0.0


async def listen(daemon: Daemon, camera: str, codec: str) -> float:
    """Return the frequency of the loudest frame that a viewer of this camera hears within a few seconds.

    The viewer cannot decode H.265. It asks for it all the same, and drops those packets.
    """
    async with open_viewer(sound=True) as viewer:
        answer = await daemon.offer(camera, viewer.offer.replace("H264/90000", f"{codec.upper()}/90000"))
        await viewer.accept(answer.text.replace("H265/90000", "H264/90000"))
        with trio.move_on_after(30):
            await wait_until(lambda: len(viewer.heard) >= 90, 60, what="nearly two seconds of audio")
        if not viewer.heard:
            return 0.0
        found = []
        for frame in list(viewer.heard)[-75:]:
            channels = 2 if frame.layout.name == "stereo" else 1
            samples = array("h", bytes(frame.planes[0]))[: frame.samples * channels]
            found.append(list(samples[::channels]))
        loudest = max(found, key=lambda samples: sum(map(abs, samples)))
        return frequency(loudest, viewer.heard[-1].sample_rate)


async def watch(daemon: Daemon, reals: Sequence[Real]) -> list[Result]:
    """Look at and listen to the cameras of one daemon."""
    results = {real.name: Result(real) for real in reals}
    for name, result in results.items():
        try:
            await daemon.wait_camera(name, "live", 40)
        except TimeoutError:
            known = await daemon.camera(name)
            result.problem = f"{known['state']}: {(known['reason'] or {}).get('text', 'no reason')}"
    live = [result for result in results.values() if result.shown]
    async with open_chromium() as browser, browser.open_page(daemon.url) as page:
        for result in live:
            name = result.real.name
            if result.real.passed_on == "h264":
                count = f"window.banken?.players.get({name!r})?.statistics().framesDecoded ?? 0"
                try:
                    await page.wait_for(f"({count}) >= 30", 60)
                    result.pictures = int(await page.evaluate(count))
                except (TimeoutError, JavaScriptError) as error:
                    result.problem = f"not decoded in Chromium: {type(error).__name__}"
            else:
                still = await request(daemon.port, "GET", f"/cameras/{name}/snapshot.jpg")
                result.pictures = int(still.status == 200 and still.body[:2] == b"\xff\xd8")
                result.problem = "" if result.pictures else f"no snapshot: {still.status}"
    for result in live:
        if result.real.audio and result.shown:
            result.tone_hz = await listen(daemon, result.real.name, result.real.passed_on)
            ticks = result.real.server == "gstreamer"  # its tone lasts for a moment of each second
            if result.tone_hz == 0 or (abs(result.tone_hz - TONE_HZ) > TONE_HZ / 5 and not ticks):
                known = await daemon.camera(result.real.name)
                result.problem = f"heard {result.tone_hz:.0f} Hz; {known['mute'] or 'no reason'}"
        if result.real.server == "mediamtx fragments" and result.shown:
            known = await daemon.get(f"/api/cameras/{result.real.name}/about")
            if Oddity.AAC_FRAGMENTS.code not in [oddity["code"] for oddity in known["oddities"]]:
                result.problem = "no fragments of AAC came"
    return list(results.values())


async def run(words: Sequence[str]) -> list[Result]:
    chosen = [real for real in all_combinations() if all(word in real.name for word in words)]
    results: list[Result] = []
    for begin in range(0, len(chosen), AT_ONCE):
        reals = chosen[begin : begin + AT_ONCE]
        with tempfile.TemporaryDirectory(prefix="banken-cameras-") as folder:
            async with open_sources(Path(folder), reals) as cameras, open_daemon(Path(folder), cameras) as daemon:
                for result in await watch(daemon, reals):
                    results.append(result)
                    mark = "✓" if result.shown else "✗"
                    heard = f"{result.pictures} pictures, {result.tone_hz:.0f} Hz"
                    print(f"{mark} {result.real.name}  {heard}  {result.problem}".rstrip(), flush=True)
    return results


def table(results: Sequence[Result]) -> Iterator[str]:
    yield from (
        "",
        "| server | video | audio | transport | pictures | tone of 440 Hz | |",
        "|---|---|---|---|---|---|---|",
    )
    for result in results:
        real = result.real
        tone = f"{result.tone_hz:.0f} Hz" if result.tone_hz else "–"
        cells = (real.server, real.video, real.audio or "–", real.transport, result.pictures, tone, result.problem)
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only combinations with all these words")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/cameras.md")
    options = parser.parse_args()
    missing = [name for name in ("mediamtx", "go2rtc") if not (BUILT / name).exists()]
    if missing:
        print(
            f"{' and '.join(missing)} are missing: `.venv/bin/python ops/other_servers.py` builds them", file=sys.stderr
        )
        return 2
    results = trio.run(run, options.words)
    print(f"{sum(result.shown for result in results)} of {len(results)} are shown")
    if options.write and not options.words:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(
            before + BEGIN + "\n".join(table(results)) + END + re.sub(r"\A.*?" + END, "", rest, flags=re.DOTALL)
        )
    return 0 if all(result.shown for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
