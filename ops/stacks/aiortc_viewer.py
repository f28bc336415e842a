"""A stock aiortc viewer with a data channel: `python ops/stacks/aiortc_viewer.py URL ORDER`, ORDER like `video,data`.

Adds the sections in that order, posts the offer to the WHEP endpoint URL and waits for 25 decoded pictures. Its last
line is `plays` or what is missing.
"""

import asyncio
import sys
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

PICTURES, WITHIN_S = 25, 20


def post(url: str, offer: str) -> str:
    request = urllib.request.Request(url, data=offer.encode(), headers={"Content-Type": "application/sdp"})
    with urllib.request.urlopen(request) as response:
        return str(response.read().decode())


async def main(url: str, order: str) -> str:
    connection, enough, seen = RTCPeerConnection(), asyncio.Event(), 0
    readers = set()

    async def read(track: object) -> None:
        nonlocal seen
        try:
            while True:
                await track.recv()  # type: ignore[attr-defined]
                seen += track.kind == "video"  # type: ignore[attr-defined]
                if seen == PICTURES:
                    enough.set()
        except MediaStreamError:
            pass

    connection.on("track", lambda track: readers.add(asyncio.ensure_future(read(track))))
    for kind in order.split(","):
        if kind == "data":
            connection.createDataChannel("data")
        else:
            connection.addTransceiver(kind, direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    answer = await asyncio.to_thread(post, url, connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    try:
        await asyncio.wait_for(enough.wait(), WITHIN_S)
        return "plays"
    except TimeoutError:
        return f"{seen} pictures in {WITHIN_S} s, connection {connection.connectionState}"
    finally:
        await connection.close()


if __name__ == "__main__":
    said = asyncio.run(main(*sys.argv[1:]))
    print(said)
    sys.exit(said != "plays")
