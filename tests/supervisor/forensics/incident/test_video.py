"""Video in a bundle: called sealed only if the journal has sealed it, and each time without video has its reason."""

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import attrs
import msgspec
import pytest
from msgspec.structs import replace

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import ArchiveWriter, SealedFile, repair_file
from actors.recorder.cutter import Cutter, NewFile
from actors.recorder.disk import Disk
from supervisor.base.times import iso
from supervisor.compose.bundled_video import find_video, walk_video
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded, RecordingInterrupted, RecordingSealed
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.values import Reason, RecordMode
from supervisor.forensics.incident import bundle
from supervisor.forensics.incident.bundle import Damaged
from supervisor.forensics.incident.export import Exported, Wanted, export
from supervisor.forensics.incident.verify import NotedDigests, unpack, verify
from supervisor.forensics.incident.video import CameraVideo, WantedVideo, sentence_of
from supervisor.journal.reader import Reader
from supervisor.ports.errors import JournalError
from tests.actors.recorder.test_archive_writer import archive
from tests.actors.recorder.test_cutter import units
from tests.kit.domain import GATE, PICTURE, TEMPORARY, YARD, running
from tests.kit.journals import write_journal

from .test_bundle import look_through

START_NS = 1_800_000_000_000_000_000
NOW_NS = START_NS + 3600 * 10**9
FIRST, SECOND = RecordingId("a" * 16), RecordingId("b" * 16)
LOST = Reason("camera-lost", "connection refused")
VIDEO = f"video/{GATE}/recording_20270115_0800"


def at(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def record(
    writer: ArchiveWriter, recording: RecordingId, begin_s: float, count: int, camera: CameraId = GATE, size: int = 64
) -> list[SealedFile]:
    """Record so many access units, ten a second, into files of 4 s; return those that are sealed."""
    cutter, sealed = Cutter(camera, recording, 4), list[SealedFile]()
    made = [out for unit in units(count, size=size) for out in cutter.take(unit, at(begin_s + unit.dts / CLOCK_RATE))]
    for out in [*made, *cutter.end()]:
        if isinstance(out, NewFile):
            sealed += filter(None, [writer.begin(camera, recording, out)])
        else:
            writer.append(camera, out)
    writer.sync()
    return sealed


def sealing(files: list[SealedFile], camera: CameraId = GATE) -> c.SealRecording:
    first, last = files[0], files[-1]
    ended_ns = last.began_ns + last.duration * 10**9 // CLOCK_RATE
    digests = tuple(file.digest.hex() for file in files)
    return c.SealRecording(camera, RecordingId(first.recording), 1, first.began_ns, ended_ns, digests)


@attrs.define
class Site:
    """`gate` is recorded from 0 s to 12 s, lost, and recorded again from 20 s on; its newest file, from 28 s, grows."""

    folder: Path
    writer: ArchiveWriter
    rows: list[Recorded]
    files: list[SealedFile]

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def recordings(self) -> Path:
        return self.folder / "recordings"

    @property
    def bundle(self) -> Path:
        return self.folder / "it.zip"

    def seq(self, kind: type) -> int:
        """The newest event of a type."""
        return max(row.seq for row in self.rows if isinstance(row.event, kind))

    def export(
        self, since_s: float = 5, until_s: float = 30, expect: str | None = None, most: int = 1 << 30
    ) -> Exported:
        chosen = [GATE], at(since_s), at(until_s)
        find = partial(find_video, self.recordings, *chosen, most, lambda text: None)
        wanted = Wanted(at(14), at(15), video=WantedVideo(*chosen, find, walk_video), expect=expect)
        return export(self.journal, wanted, self.bundle, NOW_NS)

    def shown(self, since_s: float = 5, until_s: float = 30) -> CameraVideo:
        """The video of an export between two times."""
        self.export(since_s, until_s)
        (video,) = verify(self.bundle, walk=walk_video).video
        return video


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


def make_site(tmp_path: Path) -> Site:
    writer = archive(tmp_path / "recordings")
    files = record(writer, FIRST, 0, 120)
    files += filter(None, [writer.seal(GATE)])
    later = record(writer, SECOND, 20, 110)
    story = running(GATE, YARD).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE))
    story.after(1).given(c.BeginRecording(GATE, FIRST, RecordMode.ALWAYS))
    story.after(12).given(c.ReportLoss(GATE, TEMPORARY, 0.5))
    lost = story.recorded[-1].seq
    story.given(c.InterruptRecording(GATE, LOST)).after(1).given(c.RaiseAlert("a/b", "it is asked for this"))
    story.after(7).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE))
    story.given(c.BeginRecording(GATE, SECOND, RecordMode.ALWAYS))
    story.after(30).given(sealing(files), sealing(later), c.ClearAlert("a/b"))
    rows = [replace(row, cause=lost) if isinstance(row.event, RecordingInterrupted) else row for row in story.recorded]
    write_journal(tmp_path / "journal", rows, batch=2)
    return Site(tmp_path, writer, rows, [*files, *later])


def test_video_is_proven_by_the_seals_in_the_journal_of_the_bundle(site: Site) -> None:
    """The journal goes on to the seals, which were written later; a gap has its reason, its event, and its cause."""
    done = site.export()
    assert done.left_out == ()
    assert done.stretch.last >= site.seq(RecordingSealed)
    proven = verify(site.bundle, walk=walk_video)
    (video,) = proven.video
    assert [*video.seals] == [f"{VIDEO}{second:02}.mp4" for second in ("04", "08", "20", "24")]
    assert set(video.seals.values()) == {site.seq(RecordingSealed) - 1, site.seq(RecordingSealed)}
    assert video.unsealed == {f"{VIDEO}28.mp4": "it was still growing, or was cut off"}
    (gap,) = video.gaps
    assert (gap.since_ns, gap.until_ns, gap.seq) == (at(12), at(20), site.seq(RecordingInterrupted))
    seq = site.seq(RecordingInterrupted)
    assert sentence_of(gap) == (
        f"connection refused (event {seq}, caused by event {seq - 1}: gate is waiting: connection "
        "refused; next attempt in 0.5 s)"
    )
    assert proven.expected is None
    assert proven.manifest.format == 2


def test_removed_file_is_a_separate_gap(site: Site) -> None:
    """It was recorded and sealed; whoever took it away, the bundle says that it is not there."""
    (site.recordings / site.files[2].path).unlink()
    lost, gap = site.shown().gaps
    assert (lost.since_ns, lost.until_ns, lost.seq) == (at(8), at(12), site.seq(RecordingSealed) - 1)
    assert lost.text == "it was recorded and sealed, and its files are not in this bundle"
    assert (gap.since_ns, gap.until_ns) == (at(12), at(20))


def test_time_before_the_recording_and_after_the_journal_has_its_reason(site: Site) -> None:
    """The camera was not to be recorded before; afterwards, no event says why there is nothing."""
    before, _ = site.shown(-10, 30).gaps
    assert (before.since_ns, before.until_ns, before.text) == (at(-10), at(0), "it was not to be recorded")
    site.writer.seal(GATE)
    _, after = site.shown(5, 90).gaps
    assert (after.since_ns, after.until_ns) == (at(31), at(90))
    assert after.text.startswith("no event says why: ")


@pytest.mark.parametrize(("last_s", "since_s"), [(None, 43), (70, 70)])
def test_gap_does_not_explain_a_file_that_is_missing_before_it(site: Site, last_s: int | None, since_s: int) -> None:
    """A gap of the journal begins with the last frame; if that is not known, at most 30 s before its event."""
    rows = list[Recorded]()
    for row in site.rows:
        event = row.event
        if isinstance(event, RecordingInterrupted) and last_s is not None:
            event = replace(event, last_ns=at(last_s))
        wall_ns = row.wall_ns + 60 * 10**9 * (row.wall_ns > at(2))
        if not isinstance(event, RecordingSealed):
            rows.append(replace(row, seq=len(rows) + 1, wall_ns=wall_ns, event=event))
    for path in site.recordings.glob("gate/*/*"):
        path.unlink()
    find = partial(find_video, site.recordings, [GATE], at(5), at(75), 1 << 30, lambda text: None)
    wanted = Wanted(at(74), at(75), video=WantedVideo([GATE], at(5), at(75), find, walk_video))
    export(write_journal(site.folder / "late", rows), wanted, site.bundle, NOW_NS)
    unknown, gap = verify(site.bundle, walk=walk_video).video[0].gaps
    assert (unknown.since_ns, unknown.until_ns, unknown.seq) == (at(5), at(since_s), None)
    assert (gap.since_ns, gap.until_ns, gap.text) == (at(since_s), at(75), "connection refused")


@pytest.mark.parametrize("change", ["flip", "cut", "repair"])
def test_changed_file_is_left_out_and_named(site: Site, change: str) -> None:
    """A sealed file with a flipped bit, cut off, or cut and ended again is not the one that was recorded."""
    path = site.recordings / site.files[1].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= change == "flip"
    path.write_bytes(data if change == "flip" else data[: len(data) // 2])
    if change == "repair":
        repair_file(Disk(), os.open(site.recordings, os.O_RDONLY), site.files[1].path)
    (text,) = site.export(4.5).left_out
    assert text.startswith(f"{VIDEO}04.mp4: ")
    lost, _ = verify(site.bundle, walk=walk_video).video[0].gaps
    assert (lost.since_ns, lost.until_ns) == (at(4.5), at(8))


def test_file_that_grows_during_the_export_is_taken_as_it_was(site: Site) -> None:
    """Up to its last whole fragment at that time; it is complete in the bundle, and not sealed."""
    chosen = [GATE], at(5), at(60)

    def find() -> object:
        found = find_video(site.recordings, *chosen, 1 << 30, lambda text: None)
        site.writer.seal(GATE)
        return found

    wanted = Wanted(at(14), at(15), video=WantedVideo(*chosen, find, walk_video))  # type: ignore[arg-type]
    assert export(site.journal, wanted, site.bundle, NOW_NS).left_out == ()
    (video,) = verify(site.bundle, walk=walk_video).video
    assert video.unsealed == {f"{VIDEO}28.mp4": "it was still growing, or was cut off"}
    assert [gap.until_ns for gap in video.gaps] == [at(20)], "nothing is said of the time after its end"
    site.shown()
    assert site.shown().unsealed == {f"{VIDEO}28.mp4": "the journal in this bundle ends before its seal"}


def test_video_above_the_limit_is_refused_before_it_is_read(site: Site) -> None:
    """The error has the size; no bundle is made."""
    with pytest.raises(JournalError, match=r"this video has .* KiB: .* allow it with --max-video 1"):
        site.export(most=1000)
    assert not site.bundle.exists()


# ── a bundle of a forger ────────────────────────────────────────────────────────────────────────────────────────

Files = dict[str, bytes]


def forged(site: Site, change: Callable[[Files], object], **fields: object) -> Path:
    """A bundle that is well made, with other files: all digests of the zip fit."""
    site.export()
    opened = bundle.Bundle(site.bundle)
    manifest = msgspec.structs.replace(opened.manifest, **fields)
    opened.close()
    with ZipFile(site.bundle) as packed:
        contents = {name: packed.read(name) for name in packed.namelist() if name != bundle.MANIFEST}
    change(contents)
    bundle.write(site.folder / "forged.zip", contents, lambda body, files: replace(manifest, body=body, files=files))
    return site.folder / "forged.zip"


def exchange(files: Files) -> None:
    files[f"{VIDEO}04.mp4"], files[f"{VIDEO}08.mp4"] = files[f"{VIDEO}08.mp4"], files[f"{VIDEO}04.mp4"]


def rename(files: Files) -> None:
    files[f"{VIDEO}06.mp4"] = files.pop(f"{VIDEO}04.mp4")


def double(files: Files) -> None:
    files[f"{VIDEO}04_2.mp4"] = files[f"{VIDEO}04.mp4"]


def move_to_another_camera(files: Files) -> None:
    files[f"{VIDEO}04.mp4".replace(GATE, YARD)] = files.pop(f"{VIDEO}04.mp4")


def alter(files: Files) -> None:
    data = bytearray(files[f"{VIDEO}04.mp4"])
    data[-3000] ^= 1
    files[f"{VIDEO}04.mp4"] = bytes(data)


def cut(files: Files) -> None:
    """At the end of a fragment, so that it looks like a file that grows."""
    data = files[f"{VIDEO}04.mp4"]
    files[f"{VIDEO}04.mp4"] = data[: data.rindex(b"uuid") - 4]


def made(name: str, recording: RecordingId, begin_s: float, camera: CameraId = GATE) -> Callable[[Files], None]:
    """Adds or replaces a file that is whole, and was never recorded."""

    def change(files: Files) -> None:
        cutter, data = Cutter(camera, recording, 60), bytearray()
        for unit in units(40, size=80):
            for out in cutter.take(unit, at(begin_s + unit.dts / CLOCK_RATE)):
                data += out.data
        for last in cutter.end():
            data += last.data
        files[name] = bytes(data)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (exchange, r"0800(04|08)\.mp4: its name is wrong: its video begins at 2027-01-15T08:00:0(8|4)"),
        (rename, r"080006\.mp4: its name is wrong"),
        (double, r"080004_2\.mp4: this video is there twice"),
        (move_to_another_camera, r"video/yard/.*: the manifest names no such camera"),
        (alter, r"080004\.mp4: at byte \d+: the checksum of fragment"),
        (cut, r"080004\.mp4: it is not the file that was recorded: event \d+ has sealed another one"),
        (made(f"{VIDEO}04.mp4", FIRST, 4), r"080004\.mp4: it is not the file that was recorded"),
        (made(f"{VIDEO}05.mp4", FIRST, 5), r"080005\.mp4: it is not the file that was recorded"),
        (made(f"{VIDEO}04.mp4", FIRST, 4, YARD), r"080004\.mp4: it is video of another camera, yard"),
        (lambda files: files.update({f"{VIDEO}04.mp4": b"no video"}), r"080004\.mp4: it is not a recording file"),
        (lambda files: files.update({"video/../recording_20270115_080004.mp4": b""}), "is not a file of a bundle"),
        (lambda files: files.update({"video/gate/../../x.mp4": b""}), "is not a file of a bundle"),
        (lambda files: files.update({"video/gate/film.mp4": b""}), "is not a file of a bundle"),
    ],
)  # fmt: skip
def test_changed_video_is_damage_of_that_file(site: Site, change: Callable[[Files], object], said: str) -> None:
    """Although all digests of the bundle itself were made again."""
    path = forged(site, change)
    with pytest.raises(Damaged, match=said):
        verify(path, walk=walk_video)
    with pytest.raises(Damaged, match=said):
        unpack(path, site.folder / "there", walk=walk_video)
    assert not (site.folder / "there").exists()


def test_exchanged_cameras_are_damage(site: Site) -> None:
    """Also where the manifest names both."""
    scope = bundle.VideoScope(("gate", "yard"), "2027-01-15T08:00:05Z", "2027-01-15T08:00:30Z")
    with pytest.raises(Damaged, match="it is video of another camera, gate"):
        verify(forged(site, move_to_another_camera, video=scope), walk=walk_video)


def test_file_that_was_taken_out_of_the_bundle_is_a_gap(site: Site) -> None:
    """Its seal in the journal knows of it."""
    path = forged(site, lambda files: files.pop(f"{VIDEO}24.mp4"))
    gap, lost = verify(path, walk=walk_video).video[0].gaps
    assert (gap.until_ns, lost.since_ns, lost.until_ns) == (at(20), at(24), at(28))
    assert lost.seq == site.seq(RecordingSealed)


@pytest.mark.parametrize(
    ("recording", "why"),
    [
        (SECOND, "the journal in this bundle does not know its recording"),
        (FIRST, "it was still growing, or was cut off"),
    ],
)
def test_file_that_was_added_to_a_time_without_a_seal_is_not_called_sealed(
    site: Site, recording: RecordingId, why: str
) -> None:
    """Nothing shows that it was recorded, and the command says so; an unknown recording is named."""
    unknown = RecordingId("c" * 16) if recording is SECOND else recording
    video = verify(forged(site, made(f"{VIDEO}13.mp4", unknown, 13)), walk=walk_video).video[0]
    assert video.unsealed[f"{VIDEO}13.mp4"] == why
    assert f"{VIDEO}13.mp4" not in video.seals


def test_manifest_with_times_of_other_centuries_is_read(site: Site) -> None:
    """The times without video begin and end with them."""
    scope = bundle.VideoScope(("gate",), "0002-01-01T00:00:00Z", "9998-01-01T00:00:00Z")
    gaps = verify(forged(site, lambda files: None, video=scope), walk=walk_video).video[0].gaps
    assert [sentence_of(gap) for gap in gaps]
    assert (iso(gaps[0].since_ns)[:4], iso(gaps[-1].until_ns)[:4]) == ("0002", "2027"), "the newest file grows"


def test_manifest_without_video_refuses_files_of_video(site: Site) -> None:
    """And one with a time that cannot be read."""
    with pytest.raises(Damaged, match="nobody has asked for video"):
        verify(forged(site, lambda files: None, video=None), walk=walk_video)
    with pytest.raises(Damaged, match="its times cannot be read"):
        verify(forged(site, lambda files: None, video=bundle.VideoScope(("gate",), "soon", "late")), walk=walk_video)


def test_every_flipped_bit_of_a_bundle_with_video_is_found(site: Site) -> None:
    """A sample of all bytes, and each of the end, where zip has its list."""
    site.export()
    data, chosen = site.bundle.read_bytes(), random.Random(3)
    for place in sorted({*range(len(data) - 600, len(data)), *chosen.sample(range(len(data)), 300)}):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chosen.randrange(8)
        site.bundle.write_bytes(flipped)
        with pytest.raises(Damaged):
            look_through(site.bundle)


def test_packed_video_is_refused(site: Site) -> None:
    """A bundle has it as it is: a bomb has no place."""
    site.export()
    with ZipFile(site.bundle) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    with ZipFile(site.folder / "bomb.zip", "w") as packed:
        for name, content in contents.items():
            info = bundle._described(name)
            info.compress_type = 0 if name == bundle.MANIFEST else 8
            packed.writestr(info, content)
    with pytest.raises(Damaged, match="the list of files at its end is not as it was written"):
        verify(site.folder / "bomb.zip", walk=walk_video)


def test_limit_of_all_video_is_kept_before_anything_is_unpacked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the limit."""
    site.export()
    monkeypatch.setattr(bundle, "MAX_VIDEO", 4096)
    with pytest.raises(Damaged, match="its video is larger than 4 KiB, the limit of a bundle"):
        unpack(site.bundle, site.folder / "there", walk=walk_video)


# ── a digest from elsewhere ─────────────────────────────────────────────────────────────────────────────────────


def digest_of(site: Site, seq: int) -> str:
    reader = Reader(site.journal)
    try:
        rows = [row for part in reader.parts() for row in part.rows("SELECT last, hex(digest) FROM batch")]
        return str(next(digest for last, digest in rows if last >= seq)).lower()
    finally:
        reader.close()


def test_expected_digest_shows_that_the_chain_was_not_made_again(site: Site) -> None:
    """The bundle goes on to its event; another chain with the same video and the same seals does not have it."""
    last = site.rows[-1].seq
    digest = digest_of(site, last)
    assert site.export(expect=digest[:16]).stretch.last == last
    assert verify(site.bundle, NotedDigests(chain=digest), walk_video).expected == last
    rows = [replace(row, wall_ns=row.wall_ns + 1_000_000) for row in site.rows]
    site.journal.rename(site.folder / "original")
    write_journal(site.journal, rows, batch=2)
    site.export()
    assert [*verify(site.bundle, walk=walk_video).video[0].seals], "by itself, the other bundle is as good"
    with pytest.raises(Damaged, match="no batch with the digest of --expect: history was made again"):
        verify(site.bundle, NotedDigests(chain=digest), walk_video)


def test_export_goes_on_to_the_event_of_a_later_digest(site: Site) -> None:
    """Or refuses a digest that shows nothing about this time."""
    chosen = [YARD], at(0), at(1)
    digest = digest_of(site, site.rows[-1].seq)
    find = partial(find_video, site.recordings, *chosen, 1 << 30, lambda text: None)
    wanted = Wanted(at(0), at(1), video=WantedVideo(*chosen, find, walk_video), expect=digest)
    assert export(site.journal, wanted, site.bundle, NOW_NS).stretch.last == site.rows[-1].seq
    with pytest.raises(JournalError, match="no batch has the digest of --expect"):
        site.export(expect="0" * 16)
    with pytest.raises(JournalError, match=r"is of event \d+, before this stretch"):
        export(site.journal, Wanted(at(50), at(51), expect=digest_of(site, 1)), site.bundle, NOW_NS)
