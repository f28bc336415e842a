"""One camera with its viewers: its listeners, their transcoder, and its cleanup."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from actors import registry
from actors.camera.start_gate import StartGate
from actors.media import transcoder
from actors.registry import Registry
from actors.webrtc.deferred import Witness
from actors.webrtc.fanout import Joinable
from actors.webrtc.offer import SdpOffer
from supervisor.base.background_import import BackgroundImport
from supervisor.base.log import JsonFormatter
from supervisor.config.config import Detector, Source
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import PeerOpened
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.plan import Plan, plan
from supervisor.domain.state import State
from supervisor.domain.values import CameraSettings, Limits, Reason
from supervisor.runtime import reconcile
from supervisor.runtime.vault import Vault
from tests.actors.process.test_child import tools
from tests.actors.sources.test_file import BUNDLED, write_clip
from tests.actors.webrtc.test_fanout import Sink
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, peer, settings
from tests.kit.processes import wait_until
from tests.kit.rtsp_site import TrustingLogins
from tests.sim.viewers import OFFER

CHROMIUM = (Path(__file__).parents[1] / "kit" / "chromium.sdp").read_text()


@attrs.define
class Rig:
    core: Core
    registry: Registry
    camera: trio.CancelScope
    """The cancel scope of the camera's actor."""
    next: Sink = attrs.field(factory=Sink)
    offers: list[SdpOffer] = attrs.field(factory=list)
    """The offers of the connected peers."""
    crash: Exception | None = None
    """Raised by the next connections."""

    async def watch(self, name: str, *, listens: bool = True, offer: str = OFFER) -> Sink:
        """Connect a viewer. Returns the sink of its media."""
        await self.core.kernel.submit(peer(name))
        sink = self.next = Sink(audio=listens, takes_opus=listens, codecs=("h264",))
        await self.registry.open_peer(GATE, PeerId(name), self.registry.read_offer(offer))
        return sink

    def leave(self, name: str) -> None:
        self.registry.stop_peer(PeerId(name), Reason("left", "it left"))

    def pids(self, purpose: str = "audio") -> list[int]:
        children = self.core.kernel.state.children.values()
        return [child.pid for child in children if child.purpose == purpose and child.pid is not None]


@asynccontextmanager
async def open_rig(clip: Path, *, wants_audio: bool = True) -> AsyncIterator[Rig]:
    """Run a camera that plays `clip` with the bundled ffmpeg, and fake connections."""
    async with open_core() as core, trio.open_nursery() as nursery:
        vault = Vault()
        vault.take({GATE: Source("file", f"file://{clip}", audio=wants_audio)})
        scope = trio.CancelScope()

        async def connect(
            offer: SdpOffer, fanout: Joinable, candidates: object, witness: Witness, **_: object
        ) -> Reason:
            rig.offers.append(offer)
            if rig.crash is not None:
                raise rig.crash
            witness.answered("answer")
            viewer = fanout.add(rig.next)  # type: ignore[arg-type]  # a fake sender
            try:
                witness.connected(viewer)
                await trio.sleep_forever()
            finally:
                fanout.remove(viewer)

        async def run() -> None:
            with scope:
                await rig.registry.run_camera(core.kernel.state.cameras[GATE].settings)

        child_tools = attrs.evolve(tools(core), ffmpeg=BUNDLED, sources=vault)
        rig = Rig(core, Registry(child_tools, connect=connect), scope)
        rig.registry.want({GATE: "live"}, {})
        nursery.start_soon(run)
        await wait_until(lambda: core.kernel.state.cameras[GATE].phase.value == "live", 20)
        yield rig
        nursery.cancel_scope.cancel()
    assert not core.kernel.state.children
    assert not core.kernel.state.alerts
    assert not core.kernel.state.peers


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcoder, "LINGER_S", 0.05)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", sound="aac")


async def test_viewer_of_a_camera_whose_audio_is_off_gets_no_audio_section(clip: Path) -> None:
    """Also before it is known that the camera has a picture."""
    async with open_rig(clip, wants_audio=False) as rig:
        await rig.watch("first", offer=CHROMIUM)
        hub = rig.registry._cameras[GATE].hub
        hub.picture = None
        await rig.watch("second", offer=CHROMIUM)
        assert [offer.audio for offer in rig.offers] == [None, None]
        assert rig.registry.read_offer(CHROMIUM).audio is not None


async def test_log_records_of_a_peer_name_its_camera_and_lease(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also those of tasks below it, and of code that does not know for which peer it runs."""
    caplog.handler.setFormatter(JsonFormatter())
    async with open_rig(clip) as rig:
        rig.crash = ValueError("planted")
        with pytest.raises(Rejected):
            await rig.watch("one")
    (record,) = [found for line in caplog.text.splitlines() if "planted" in line and (found := json.loads(line))]
    lease = next(r.event.lease for r in await rig.core.stored() if isinstance(r.event, PeerOpened))
    assert (record["camera"], record["peer"], record.get("lease", "")) == (GATE, "one", lease)


async def test_aac_is_transcoded_once_for_all_listeners(hasty: None, clip: Path) -> None:
    """Two listeners share one child, a viewer without audio needs none; the child ends with the last listener."""
    async with open_rig(clip) as rig:
        looks = await rig.watch("looks", listens=False)
        await wait_until(lambda: len(looks.pictures) > 5, 10)
        assert rig.pids() == []
        one, two = await rig.watch("one"), await rig.watch("two")
        await wait_until(lambda: len(one.audio_frames) > 20 and len(two.audio_frames) > 20, 10)
        assert len(rig.pids()) == 1
        assert looks.audio_frames == []
        assert one.codecs_heard == {"aac", "opus"}
        rig.leave("one")
        seen = len(two.audio_frames)
        await wait_until(lambda: len(two.audio_frames) > seen + 20, 10)
        rig.leave("two")
        await wait_until(lambda: not rig.core.kernel.state.children_of(GATE)[1:], 10)
        shown = len(looks.pictures)
        await wait_until(lambda: len(looks.pictures) > shown + 5, 10)


HEARD = OFFER.replace("t=0 0\n", "t=0 0\na=group:BUNDLE 0 1\n")
HEARD += "m=audio 9 UDP/TLS/RTP/SAVPF 8 111\na=mid:1\na=rtcp-mux\na=rtpmap:111 opus/48000/2\n"


@pytest.mark.parametrize("sound", ["aac", ""])
async def test_audio_is_taken_of_a_camera_that_sends_it_and_refused_of_one_that_sends_none(
    tmp_path: Path, sound: str
) -> None:
    """A browser that expects audio may show nothing until it arrives."""
    async with open_rig(write_clip(tmp_path / "a.mp4", sound=sound)) as rig:
        await rig.core.kernel.submit(peer("one"))
        offered = rig.registry.read_offer(HEARD)
        assert offered.audio is not None
        await rig.registry.open_peer(GATE, PeerId("one"), offered)
        assert [offer.audio is not None for offer in rig.offers] == [bool(sound)]


async def test_crashed_transcoder_costs_no_video_and_raises_an_alert(clip: Path) -> None:
    """An alert stays raised until audio is back."""
    async with open_rig(clip) as rig:
        sink = await rig.watch("one")
        await wait_until(lambda: len(sink.audio_frames) > 20, 10)
        (first,) = rig.pids()
        shown = len(sink.pictures)
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: f"sound/{GATE}" in rig.core.kernel.state.alerts, 10)
        assert "no audio" in rig.core.kernel.state.alerts[f"sound/{GATE}"].text
        await wait_until(lambda: f"sound/{GATE}" not in rig.core.kernel.state.alerts, 20)
        assert rig.pids() not in ([], [first])
        assert len(sink.pictures) > shown
        assert rig.core.kernel.state.cameras[GATE].phase.value == "live"
        rows = {row.type: row for row in await rig.core.stored()}
        assert rows["AlertRaised"].cause is not None
        assert "CameraWaiting" not in rows


async def test_uses_of_all_cameras_are_counted_once_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the plan counts them; a new camera uses that result, and counts its own use when it takes its slot."""
    looked, plans = Counter[int](), 0
    names = [CameraId(f"c{number}") for number in range(100)]

    def uses_of(state: State, cameras: Iterable[CameraSettings]) -> dict[CameraId, str]:
        asked = list(cameras)
        looked[len(asked)] += 1
        return count(state, asked)

    def make(state: State) -> Plan:
        nonlocal plans
        plans += 1
        return plan(state)

    count = State.uses_of
    monkeypatch.setattr(State, "uses_of", uses_of)
    cameras = tuple(settings(name, device=f"box of {name}") for name in names)
    async with open_core(configuration=c.Configure("test", cameras, Limits())) as core, trio.open_nursery() as nursery:
        monkeypatch.setattr(reconcile, "plan", make)
        vault = Vault()
        vault.take({name: Source("rtsp", "rtsp://192.0.2.1/x") for name in names})
        registry = Registry(attrs.evolve(tools(core), sources=vault), starts=StartGate(connections=0.001))
        nursery.start_soon(reconcile.run_reconcile, core.kernel, registry, lambda: 0.5)
        await wait_until(lambda: registry.starts_waiting()[0] > 90, 20)
        assert {camera._use for camera in registry._cameras.values()} == {"live"}
        nursery.cancel_scope.cancel()
    assert sum(times for size, times in looked.items() if size > 1) <= plans


def _kill(rig: Rig) -> None:
    os.kill(rig.pids()[0], signal.SIGKILL)


def _cancel(rig: Rig) -> None:
    rig.camera.cancel()


def _leave(rig: Rig) -> None:
    rig.leave("one")


@pytest.mark.parametrize(
    "order",
    [(_kill, _cancel), (_kill, _leave, _cancel), (_leave, _kill, _cancel), (_leave, _cancel), (_cancel,)],
    ids=lambda order: "-".join(act.__name__.strip("_") for act in order),
)
async def test_every_order_of_ends_leaves_no_child_peer_or_alert(
    hasty: None, clip: Path, order: tuple[Callable[[Rig], None], ...]
) -> None:
    """The transcoder is killed, the viewer leaves, the camera is cancelled: no child, peer or alert."""
    async with open_rig(clip) as rig:
        sink = await rig.watch("one")
        await wait_until(lambda: len(sink.audio_frames) > 5, 10)
        for act in order:
            act(rig)
            await trio.testing.wait_all_tasks_blocked()
        await wait_until(lambda: not rig.core.kernel.state.children, 10)
        await wait_until(lambda: not rig.core.kernel.state.peers, 10)
        assert not rig.core.kernel.state.alerts


async def test_modules_of_detectors_and_readers_are_imported_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of detectors with the first one, those of readers before their server: the loop goes on meanwhile."""
    threads: list[threading.Thread] = []

    def note() -> None:
        threads.append(threading.current_thread())

    for name in ("CREW", "READERS"):
        modules = getattr(registry, name).modules
        monkeypatch.setattr(registry, name, BackgroundImport(modules, finish=note))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        async with open_core() as core, trio.open_nursery() as nursery:
            vault = Vault()
            vault.take_detectors({"yolo": Detector("yolo", "command", arguments=("/nowhere/detect",))})
            known = Registry(attrs.evolve(tools(core), sources=vault), rtsp=(listening, TrustingLogins()))
            nursery.start_soon(known.run_detectors)
            nursery.start_soon(known.run_rtsp)
            await wait_until(lambda: len(threads) == 2, 20, what="both imports")
            nursery.cancel_scope.cancel()
    assert threading.main_thread() not in threads
