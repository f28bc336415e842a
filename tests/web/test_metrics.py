"""Metrics: as Prometheus's own parser reads them, at a cost that grows with cameras and viewers, not their product."""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import attrs
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from supervisor.domain import commands as c
from supervisor.domain.access import Principal
from supervisor.domain.ids import PeerId, RecordingId
from supervisor.domain.rights import RIGHTS, Role, Scope
from supervisor.domain.values import Reason, RecordMode
from supervisor.ports.archives import ArchiveRoom
from supervisor.ports.statistics import ArchiveStatistics, Latency
from tests.kit.crowd import open_crowd
from tests.kit.domain import GATE, SECOND, YARD
from tests.kit.site import open_site
from web import metrics
from web.exposition import Exposition, label, number
from web.limited import limited

T = TypeVar("T")


def samples(text: str) -> dict[tuple[str, str], float]:
    """Each sample by its name and its camera, as Prometheus's client library reads them."""
    found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, sample.labels.get("camera", "")): sample.value for sample in found}


async def test_metrics_of_viewers_are_those_of_their_camera() -> None:
    """The worst loss and the number of narrow paths are counted for each camera, and each viewer once."""
    async with open_crowd(cameras=3, viewers=12) as site:
        snapshot = site.gateway.snapshot(peers=True)
        got = samples(metrics.expose(snapshot, metrics.measure_process()).decode())
    state = snapshot.state
    for camera in state.cameras:
        sent = [snapshot.peers[name] for name, known in state.peers.items() if known.camera == camera]
        assert len(sent) == 4
        assert got["banken_camera_viewers", camera] == 4
        assert got["banken_camera_viewer_loss_ratio", camera] == max(each.loss for each in sent)
        assert got["banken_camera_viewers_key_frames_only", camera] == sum(each.key_frames_only for each in sent)
        assert got["banken_camera_live", camera] == 1
        assert got["banken_camera_bytes_per_second", camera] == snapshot.cameras[camera].bitrate / 8


async def test_deviations_of_a_camera_are_counted_by_their_names() -> None:
    """One sample for each name that occurred; a camera without deviations has none."""
    async with open_crowd(cameras=2, viewers=1) as site:
        snapshot = site.gateway.snapshot()
        odd, plain = sorted(snapshot.cameras)
        statistics = attrs.evolve(snapshot.cameras[odd], oddities={"early-marker": 1840, "cseq": 2})
        cameras = {odd: statistics, plain: snapshot.cameras[plain]}
        text = metrics.expose(attrs.evolve(snapshot, cameras=cameras), metrics.measure_process()).decode()
    found = [family for family in text_string_to_metric_families(text) if family.name == "banken_camera_oddities"]
    assert [(sample.name, sample.labels, sample.value) for family in found for sample in family.samples] == [
        ("banken_camera_oddities_total", {"camera": odd, "oddity": "cseq"}, 2.0),
        ("banken_camera_oddities_total", {"camera": odd, "oddity": "early-marker"}, 1840.0),
    ]


async def test_metrics_keep_their_types() -> None:
    """Counters are counters, with `_total`, and gauges are gauges; each has a help."""
    async with open_crowd(cameras=1, viewers=1) as site:
        text = metrics.expose(site.gateway.snapshot(peers=True), metrics.measure_process()).decode()
    kinds = {family.name: family.type for family in text_string_to_metric_families(text) if family.documentation}
    assert kinds["banken_camera_frames"] == kinds["banken_journal_events"] == "counter"
    assert kinds["banken_camera_live"] == kinds["banken_health"] == "gauge"
    assert len(kinds) > 35


async def test_metrics_follow_the_conventions_of_prometheus() -> None:
    """Each has the prefix and base units; only a counter ends in `_total`, which the parser removes from its name."""
    async with open_crowd(cameras=1, viewers=1) as site:
        text = metrics.expose(site.gateway.snapshot(peers=True), metrics.measure_process()).decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert not [name for name in names if not re.fullmatch(r"banken_[a-z]+(_[a-z]+)*", name)]
    assert not [name for name in names if re.search(r"_(total|ms|milliseconds|minutes|bits|percent|kb|mb)(_|$)", name)]


WRITTEN = Latency((0.001, 0.01, 1.0), (5, 3, 0, 2), 4.5, 3.9)


async def test_recordings_and_their_archive_are_measured() -> None:
    """Whether each camera is recorded, its gaps that have ended, and what the archive does."""
    async with open_site(GATE, YARD) as site:
        kernel, lost = site.core.kernel, Reason("camera-lost", "no answer")
        site.actors.archives = {"recordings": ArchiveStatistics("", 4096, 10**9, 0.25, WRITTEN, 7.5, 0.0)}
        room = ArchiveRoom("recordings", 700, 200, 5, 1000, 100.0, 1.5, None, None, 0.0, "")
        site.actors.rooms = (room, attrs.evolve(room, archive="full", days_left=None))
        begin = c.BeginRecording(GATE, RecordingId("r"), RecordMode.ALWAYS, 9 * SECOND, 5 * SECOND)
        for command in (begin, c.InterruptRecording(GATE, lost), begin, replace(begin, camera=YARD)):
            kernel.emit(command)
        kernel.emit(c.InterruptRecording(YARD, lost))
        whole = (await site.get("/metrics")).text
        here = limited(
            site.gateway, Principal("user:anna/0123456789abcdef", RIGHTS[Role.MONITOR], Scope(cameras=(YARD,)))
        )
        seen = here.snapshot()
        part = metrics.expose(seen, metrics.measure_process(), None, here.archive_rooms()).decode()
    got = samples(whole)
    assert (got["banken_recording_active", GATE], got["banken_recording_active", YARD]) == (1, 0)
    assert (got["banken_recording_interrupted", GATE], got["banken_recording_interrupted", YARD]) == (0, 1)
    assert 'banken_recording_gap_seconds_total{camera="gate",reason="camera-lost"} 4.0' in whole
    assert 'banken_recording_gap_seconds_total{camera="yard"' not in whole
    for line in (
        "banken_archive_fault{A} 0.0", "banken_archive_buffered_bytes{A} 4096.0", "banken_archive_pool_ratio{A} 0.25",
        "banken_archive_written_bytes_total{A} 1000000000.0", "banken_archive_disk_seconds_total{A} 7.5",
        "banken_archive_compared_ratio{A} 1.0",
        "banken_archive_bytes{A} 700.0", "banken_archive_pinned_bytes{A} 200.0",
        "banken_archive_budget_bytes{A} 1000.0", "banken_archive_left_seconds{A} 129600.0",
    ):  # fmt: skip
        assert line.replace("A", 'archive="recordings"') in whole
    assert 'banken_archive_left_seconds{archive="full"}' not in whole
    assert GATE not in part and "archive" not in part
    assert not seen.gaps
    assert samples(part)["banken_recording_active", YARD] == 0


async def test_histogram_has_cumulative_buckets() -> None:
    """As Prometheus reads it: each bucket has those below it, and the last one has all."""
    async with open_site(GATE) as site:
        snapshot = site.gateway.snapshot()
        cameras = {GATE: attrs.evolve(snapshot.cameras[GATE], latency=WRITTEN)}
        text = metrics.expose(attrs.evolve(snapshot, cameras=cameras), metrics.measure_process()).decode()
    (family,) = (each for each in text_string_to_metric_families(text) if each.name == "banken_frame_latency_seconds")
    assert family.type == "histogram"
    assert [(sample.name.rpartition("_")[2], sample.labels.get("le"), sample.value) for sample in family.samples] == [
        ("bucket", "0.001", 5), ("bucket", "0.01", 8), ("bucket", "1.0", 8), ("bucket", "+Inf", 10),
        ("sum", None, 4.5), ("count", None, 10),
    ]  # fmt: skip
    assert {sample.labels["camera"] for sample in family.samples} == {GATE}


@attrs.define
class Counted(Mapping[PeerId, T]):
    """A mapping that counts how often one of its values is looked at."""

    inside: Mapping[PeerId, T]
    looks: int = 0

    def __getitem__(self, name: PeerId) -> T:
        self.looks += 1
        return self.inside[name]

    def __iter__(self) -> Iterator[PeerId]:
        return iter(self.inside)

    def __len__(self) -> int:
        return len(self.inside)


async def looks(cameras: int, viewers: int) -> int:
    """How often a viewer is looked at for one answer."""
    async with open_crowd(cameras, viewers) as site:
        snapshot = site.gateway.snapshot(peers=True)
        peers, sent = Counted(snapshot.state.peers), Counted(snapshot.peers)
        state = replace(snapshot.state, peers=peers)
        metrics.expose(attrs.evolve(snapshot, state=state, peers=sent), metrics.measure_process())
        return peers.looks + sent.looks


async def test_cost_of_metrics_does_not_grow_with_cameras_times_viewers() -> None:
    """Ten times as many cameras with as many viewers are as many looks at a viewer."""
    few, many = await looks(3, 30), await looks(30, 30)
    assert few == many
    assert await looks(3, 60) == 2 * few


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "1.0"),
        (0, "0.0"),
        (1e21, "1e+21"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_number_is_written_as_prometheus_reads_it(value: float, text: str) -> None:
    """Infinity and NaN have the words that Prometheus uses."""
    assert number(value) == text


def test_text_of_a_label_cannot_leave_it() -> None:
    """Quotes, backslashes and line ends in a value are escaped, and read back as they were."""
    to = Exposition()
    nasty = 'a"b\\c\nd} 1\n'
    to.gauge("banken_test", 'help with "quotes" \\ and\nlines').add(1, label(camera=nasty))
    (family,) = text_string_to_metric_families(to.encode().decode())
    assert family.samples[0].labels == {"camera": nasty}
    assert family.documentation == 'help with "quotes" \\ and\nlines'
