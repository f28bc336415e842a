"""Child processes and the programs of the section `daemons`, in the API and in the metrics."""

from collections.abc import Mapping

import attrs

from supervisor.domain import commands as c
from supervisor.domain.ids import NO_CAMERA, CameraId, ChildId
from supervisor.domain.state import VIDEO
from supervisor.ports.statistics import CameraStatistics, DaemonStatistics, RenditionStatistics
from supervisor.runtime.kernel import Kernel
from tests.kit.domain import GATE
from tests.kit.http import request
from tests.kit.site import FakeActors, open_site
from tests.web.test_metrics import samples

SWITCHER = DaemonStatistics("switcher", "/stream", False, "backoff", "switcher exited with 1", 3)


def actors(kernel: Kernel) -> FakeActors:
    return FakeActors(kernel, daemons=(SWITCHER, attrs.evolve(SWITCHER, name="second", provides="", state="running")))


async def test_daemons_are_listed_with_their_pid_and_the_cameras_that_wait_for_them() -> None:
    """One that is down has its reason and no pid."""
    async with open_site(GATE, make_actors=actors) as site:
        kernel = site.core.kernel
        child = ChildId("c-1")
        kernel.emit(c.PrepareChild(child, NO_CAMERA, "daemon/second", ("x",)))
        kernel.emit(c.ReportChildStarted(child, 4711, 1))
        answer = await request(site.port, "GET", "/api/providers")
        first, second = answer.json["providers"]
        assert (first["name"], first["state"], first["reason"], first["starts"], first["pid"]) == (
            "switcher", "backoff", "switcher exited with 1", 3, None,
        )  # fmt: skip
        assert (second["name"], second["pid"], second["waiting"]) == ("second", 4711, [])
        listed = (await request(site.port, "GET", "/api/processes")).json["processes"]
        assert [each["purpose"] for each in listed] == ["daemon/second"]
        text = (await request(site.port, "GET", "/metrics")).body.decode()
        assert 'banken_provider_running{provider="switcher"} 0' in text
        assert 'banken_provider_starts_total{provider="second"} 3' in text
        assert samples(text)


class TranscodedActors(FakeActors):
    """The video of `gate` is transcoded."""

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        made = RenditionStatistics(cpu=0.25, fps=25.0, bitrate=800_000, width=640, height=360, skipped=7)
        return {GATE: attrs.evolve(super().statistics()[GATE], rendition=made, transcoder_cpu_s=12.5)}


async def test_video_transcoder_is_listed_with_its_share_of_a_processor() -> None:
    """Other children have none: nothing measures them. The metrics have the share too, and what it adds up to."""
    async with open_site(GATE, make_actors=TranscodedActors) as site:
        kernel = site.core.kernel
        for child, purpose in (("c-1", VIDEO), ("c-2", "audio")):
            kernel.emit(c.PrepareChild(ChildId(child), GATE, purpose, ("x",)))
        listed = (await request(site.port, "GET", "/api/processes")).json["processes"]
        assert {each["id"]: each["cpu"] for each in listed} == {"c-1": 0.25, "c-2": None}
        got = samples((await request(site.port, "GET", "/metrics")).body.decode())
        assert got["banken_transcoder_cpu_ratio", GATE] == 0.25
        assert got["banken_transcoder_cpu_seconds_total", GATE] == 12.5
        assert got["banken_transcoder_skipped_frames_total", GATE] == 7


async def test_camera_that_is_not_transcoded_has_no_metrics_of_a_transcoder() -> None:
    """They would be zeros of something that does not exist."""
    async with open_site(GATE) as site:
        got = samples((await request(site.port, "GET", "/metrics")).body.decode())
        assert not [name for name, _ in got if name.startswith("banken_transcoder_")]
