"""The baseline of benchmarks: aiortc as in its examples. `python -m ops.bench.lib.stock FILE CAMERAS`.

One asyncio loop, one `RTCPeerConnection` for each viewer, a track that passes the file's access units through. Answers
`POST /whep/NAME`, and `GET /metrics` with its loop lag. Prints its TCP port on standard output.
"""

import asyncio
import sys
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from actors.media.bitstream import join_annexb
from actors.webrtc.library_internals import include_loopback

from .meter import percentile
from .stream import CLOCK_RATE, FPS, read_pictures

LAG_EVERY_S = 0.1
BACKLOG = 30
"""Access units that wait for a slow viewer; further ones are dropped."""


class Camera:
    """Plays the file in real time, for all its viewers."""

    def __init__(self, pictures: list[bytes]) -> None:
        self._pictures = pictures
        self._tracks: set[_Track] = set()

    def watch(self) -> MediaStreamTrack:
        track = _Track()
        self._tracks.add(track)
        return track

    async def run(self) -> None:
        began, index = asyncio.get_running_loop().time(), 0
        while True:
            packet = av.Packet(self._pictures[index % len(self._pictures)])
            packet.pts, packet.time_base = index * CLOCK_RATE // FPS, Fraction(1, CLOCK_RATE)
            for track in self._tracks:
                if not track.packets.full():
                    track.packets.put_nowait(packet)
            index += 1
            await asyncio.sleep(began + index / FPS - asyncio.get_running_loop().time())


class _Track(MediaStreamTrack):
    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[av.Packet] = asyncio.Queue(BACKLOG)  # type: ignore[type-arg]

    async def recv(self) -> av.Packet:  # type: ignore[type-arg]
        return await self.packets.get()


class Server:
    """A minimal HTTP server."""

    def __init__(self, cameras: dict[str, Camera], lags: deque[float]) -> None:
        self._cameras, self._lags = cameras, lags
        self._connections: list[RTCPeerConnection] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split()
        length = next((int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")), 0)
        body = (await reader.readexactly(length)).decode()
        if method == "POST":
            status, answer = "201 Created", await self._answer(path.rpartition("/")[2], body)
        else:
            lag = percentile(self._lags, 0.99)
            status, answer = "200 OK", f'banken_loop_lag_seconds{{quantile="0.99"}} {lag}\n'
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(answer)}", "Connection: close", "", answer]
        writer.write("\r\n".join(head).encode())
        writer.close()

    async def _answer(self, name: str, offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        connection.addTrack(self._cameras[name].watch())
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp


async def measure_lag(lags: deque[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        lags.append(loop.time() - due)


async def run(path: Path, count: int) -> None:
    pictures = [join_annexb(list(picture.units)) for picture in read_pictures(path)]
    cameras = {f"cam{number}": Camera(pictures) for number in range(count)}
    lags: deque[float] = deque(maxlen=100)
    server = await asyncio.start_server(Server(cameras, lags).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(measure_lag(lags), *(camera.run() for camera in cameras.values()))


if __name__ == "__main__":
    include_loopback()
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
