"""A camera that sends to a multicast group. Runs in a process that has a network namespace to itself:

    unshare --net python -m tests.kit.multicast

The camera has a second namespace, behind a virtual cable: on one host it would occupy the ports of the group. Standard
output is one line of JSON: `Played`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

from supervisor.config.config import Source
from supervisor.domain.events import CameraLive
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase

from .descriptors import open_sockets
from .gst import Place, open_rtsp_server
from .media import follow
from .patience import give_up_after
from .processes import wait_until
from .yard import open_yard

ROOT = Path(__file__).parents[2]
GATE = CameraId("gate")
PICTURES = 30
WITHIN_S = 20.0
NEAR, FAR = "192.0.2.1", "192.0.2.2"
"""The addresses of the daemon and of the camera."""


@attrs.frozen
class Played:
    transports: list[str]
    """Of each `CameraLive`."""
    pictures: int
    bound: int
    """Our sockets that were bound to a group."""
    joined: int
    """Groups that had members while it played, and afterwards."""
    joined_after: int
    leaked: int
    """Sockets that stayed open."""
    teardowns: int


async def run_in_namespace() -> Played:
    """Run this module in a new network namespace. Raises `RuntimeError` with what the machine lacks."""
    command = ["unshare", "--net", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    command += [sys.executable, "-m", "tests.kit.multicast"]
    with give_up_after(90):
        ended = await trio.run_process(command, cwd=ROOT, capture_stdout=True, capture_stderr=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"no multicast in a network namespace (unshare, ip): {ended.stderr.decode()[-2000:]}")
    return Played(**json.loads(ended.stdout))


def bound() -> int:
    """The sockets of this process that are bound to a multicast group."""
    ours = {int(name.removeprefix("socket:[").removesuffix("]")) for name in open_sockets()}
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[9]) in ours and 224 <= int(row[1][6:8], 16) < 240 for row in rows)


def joined() -> int:
    """The number of multicast groups in this namespace, without that of all hosts."""
    rows = [line.split() for line in Path("/proc/net/igmp").read_text().splitlines() if line.startswith("\t")]
    return len({row[0] for row in rows} - {"010000E0"})


@contextmanager
def open_cable() -> Iterator[Place]:
    """A second namespace, which ends with the block, and the cable to it."""
    own_namespace = ["unshare", "--net", "sh", "-c", "echo; exec sleep 120"]
    with subprocess.Popen(own_namespace, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()  # it has its namespace
            inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
            ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(holder.pid))
            for command, name, address in (((), "near", NEAR), (inside, "far", FAR)):
                for link in ("lo", name):
                    ip("link", "set", link, "up", command=command)
                ip("address", "add", f"{address}/24", "dev", name, command=command)
                ip("route", "add", "224.0.0.0/4", "dev", name, command=command)
            yield Place(FAR, inside)
        finally:
            holder.kill()


def ip(*arguments: str, command: tuple[str, ...] = ()) -> None:
    subprocess.run([*command, "ip", *arguments], check=True)


async def main(place: Place) -> Played:
    async with open_rtsp_server(
        size=(320, 180), fps=15, audio="pcma", transports=("multicast",), place=place
    ) as camera:
        before = open_sockets()
        async with open_yard({GATE: Source("rtsp", camera.url, transport="multicast")}) as yard:
            if not await yard.until(lambda: yard.camera(GATE).phase is CameraPhase.LIVE, WITHIN_S):
                raise RuntimeError(f"the camera is not live: {yard.camera(GATE).reason}")
            with give_up_after(WITHIN_S):
                hub = yard.hub(GATE)
                subscription = hub.subscribe()
                shown = [await follow(hub, subscription) for _ in range(PICTURES)]
            during, live = (
                (bound(), joined()),
                [row.event for row in yard.events(GATE) if isinstance(row.event, CameraLive)],
            )
        await wait_until(lambda: camera.requests["TEARDOWN"] and not camera.sessions, WITHIN_S)
        after, leaked = joined(), len(open_sockets() - before)
        teardowns = camera.requests["TEARDOWN"]
    return Played([event.transport for event in live], len(shown), *during, after, leaked, teardowns)


if __name__ == "__main__":
    with open_cable() as there:
        print(json.dumps(attrs.asdict(trio.run(main, there))))
