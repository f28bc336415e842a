"""Bundles of incidents: a true stretch of the journal, of which not one byte can change unnoticed."""

import os
import random
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import apsw
import msgspec
import pytest

from supervisor.base.times import iso
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, ChildId
from supervisor.domain.state import RULE, State, state_hash
from supervisor.domain.values import Fault, Reason
from supervisor.forensics.incident import bundle
from supervisor.forensics.incident.bundle import Damaged, NoBundle
from supervisor.forensics.incident.export import Exported, Wanted, export
from supervisor.forensics.incident.verify import NotedDigests, unpack, verify
from supervisor.journal import check, excerpt
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import Query
from tests.kit.domain import GATE, TEMPORARY, YARD, child, live, running
from tests.kit.journals import TINY, append_all, change, lively, read_all, states, write_journal
from tests.sim.incident import the_incident
from tests.sim.world import simulate
from tests.supervisor.forensics.stories import night

NOW_NS = 1_900_000_000_000_000_000
BATCH = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively(), batch=BATCH)


@pytest.fixture
def made(folder: Path, tmp_path: Path) -> Path:
    """A bundle of events 21 to 60."""
    rows = lively()
    export(folder, Wanted(rows[24].wall_ns, rows[54].wall_ns), tmp_path / "made.zip", NOW_NS)
    return tmp_path / "made.zip"


def take(journal: Path, path: Path, since: Recorded, until: Recorded, camera: str | None = None) -> Exported:
    wanted = Wanted(since.wall_ns, until.wall_ns, CameraId(camera) if camera else None, "a note")
    return export(journal, wanted, path, NOW_NS)


def text_of(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode()


def test_the_stretch_is_whole_batches_and_every_row_is_what_it_was(folder: Path, tmp_path: Path) -> None:
    """Numbers, bodies and checksums, and the state before each of them."""
    rows = lively()
    done = take(folder, tmp_path / "it.zip", rows[24], rows[54])
    stretch = done.stretch
    assert (stretch.first % BATCH, stretch.last % BATCH) == (1, 0)
    assert stretch.first <= stretch.asked_first <= 25
    assert stretch.last >= stretch.asked_last >= 55
    unpack(tmp_path / "it.zip", tmp_path / "there")
    assert read_all(tmp_path / "there" / "journal") == rows[stretch.first - 1 : stretch.last]
    original, copied = Reader(folder), Reader(tmp_path / "there" / "journal")
    query = Query(after=stretch.first - 1, before=stretch.last + 1)
    (one,), (other,) = list(original.parts()), list(copied.parts())
    assert other.select(query, 1000, False) == one.select(query, 1000, False)
    after = states(rows)
    for seq in range(stretch.first - 1, stretch.last + 1):
        assert copied.state_at(seq) == after[seq]
    original.close()
    copied.close()


def test_a_stretch_over_many_segments_is_one_with_their_seals(tmp_path: Path) -> None:
    """Events 25 to 55 of segments of ten are one journal file, verified with the seal of each batch."""
    rows = lively()
    folder = write_journal(tmp_path / "journal", rows, batch=BATCH, rotation=TINY)
    done = take(folder, tmp_path / "it.zip", rows[24], rows[54])
    proven = verify(tmp_path / "it.zip")
    assert proven.seals == done.stretch.last // BATCH - done.stretch.first // BATCH
    assert len(proven.manifest.journal_files) == 1
    assert proven.hashes > proven.seals
    assert not list(tmp_path.glob(".it*"))


def test_bundle_keeps_a_gap_and_its_report(tmp_path: Path) -> None:
    """A gap within the stretch begins a second segment, whose state is the one that the lost events led to."""
    rows, after = lively(), states(lively())
    store = Store(tmp_path / "journal")
    append_all(store, rows[:40], BATCH)
    store.skip(after[50])
    store.append(rows[50:70], after[70])
    store.close()
    take(tmp_path / "journal", tmp_path / "it.zip", rows[30], rows[60])
    proven = verify(tmp_path / "it.zip")
    assert proven.gaps == ((41, 50),)
    assert len(proven.manifest.journal_files) == 2


def test_the_same_export_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Two people who export the same stretch can compare the digest of the file."""
    rows = lively()
    for name in ("one.zip", "other.zip"):
        take(folder, tmp_path / name, rows[24], rows[54])
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_it_is_a_zip_as_others_read_it(made: Path) -> None:
    """Python's zipfile reads it; the manifest is last, and all times are the fixed first day of ZIP."""
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-1] == "manifest.json"
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def look_through(path: Path) -> None:
    """Look at all bytes of the zip, but not at what they mean."""
    opened = bundle.Bundle(path)
    try:
        opened.check()
    finally:
        opened.close()


def test_every_flipped_bit_is_found(made: Path, tmp_path: Path) -> None:
    """At the ends, where zip keeps its books, all of them; elsewhere a sample. Never another error, never silence."""
    data = made.read_bytes()
    chosen = random.Random(1)
    places = {*range(64), *range(len(data) - 700, len(data)), *chosen.sample(range(len(data)), 300)}
    broken = tmp_path / "broken.zip"
    for place in sorted(places):
        flipped = bytearray(data)
        flipped[place] ^= 1 << chosen.randrange(8)
        broken.write_bytes(flipped)
        with pytest.raises(Damaged):
            look_through(broken)


@pytest.mark.parametrize("cut", [1, 22, 500])
def test_bundle_with_bytes_cut_off_or_added_is_damaged(made: Path, cut: int) -> None:
    """Bytes removed at the end, appended, or prepended: each is damage."""
    data = made.read_bytes()
    for changed in (data[:-cut], data + b"x" * cut, b"x" * cut + data):
        made.write_bytes(changed)
        with pytest.raises(Damaged):
            verify(made)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 99])
def test_file_that_is_not_a_bundle_is_reported_as_such(tmp_path: Path, data: bytes) -> None:
    """An empty file, garbage, and a ZIP of another program are `NoBundle`, which is not damage."""
    path = tmp_path / "it.zip"
    path.write_bytes(data)
    with pytest.raises(NoBundle):
        verify(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../etc/passwd", "x")
    with pytest.raises(NoBundle):
        verify(path)


def forge(made: Path, path: Path, **changed: bytes | Path) -> Path:
    """A bundle that is well made, with other contents: what a forger would do."""
    contents: dict[str, bytes | Path] = {}
    with zipfile.ZipFile(made) as archive:
        contents.update({name: archive.read(name) for name in archive.namelist() if name != bundle.MANIFEST})
    opened = bundle.Bundle(made)
    manifest = opened.manifest
    opened.close()
    names = {name.replace("/", "_").replace(".", "_").replace("-", "_"): name for name in contents}
    contents |= {names.get(key, key): value for key, value in changed.items()}
    bundle.write(path, contents, lambda body, files: msgspec.structs.replace(manifest, body=body, files=files))
    return path


def test_a_forged_bundle_has_another_digest(made: Path, tmp_path: Path) -> None:
    """A forger can make a consistent bundle, but the digest given by the exporter exposes it."""
    digest = verify(made).digest
    forged = forge(made, tmp_path / "forged.zip", report_html=b"<h1>all was well</h1>")
    assert verify(forged).digest != digest
    for told in (digest, digest[:16], verify(made).file_digest):
        verify(made, NotedDigests(told))
        with pytest.raises(Damaged, match="not the one that was given"):
            verify(forged, NotedDigests(told))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE event SET body = replace(body, 'gate', 'gaze') WHERE seq = 31", "events 31 to 40: not what was wr"),
        ("DELETE FROM event WHERE seq > 50", "the chain breaks here"),
        ("UPDATE checkpoint SET state = zeroblob(9)", "the state of event 20: .*cannot be read"),
        ("DELETE FROM segment", "event 21 and all after it: .* the head of the segment is damaged"),
        ("UPDATE event SET stream = CAST(x'ff22' AS TEXT) WHERE seq = 31", "cannot be read|not what was written"),
        ("UPDATE batch SET last = 1 << 62 WHERE first = 51", "the chain breaks here"),
        ("CREATE TRIGGER more AFTER INSERT ON event BEGIN SELECT 1; END", "other tables than a segment"),
        ("DELETE FROM batch WHERE first = 51; DELETE FROM event WHERE seq > 50", "does not describe the journal"),
    ],
)
def test_a_forged_journal_is_found(made: Path, tmp_path: Path, statement: str, said: str) -> None:
    """Even when all checksums of the zip are computed again."""
    unpack(made, tmp_path / "there")
    change(tmp_path / "there" / "journal", statement, 21)
    segment = tmp_path / "there" / "journal" / "segment-0000000021.sqlite"
    forged = forge(made, tmp_path / "forged.zip", journal_segment_0000000021_sqlite=segment)
    with pytest.raises(Damaged, match=said):
        verify(forged)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "journal/../../x", "more.txt", "journal/x.sqlite"])
def test_names_that_we_do_not_write_are_refused(made: Path, tmp_path: Path, name: str) -> None:
    """No path leads out of the folder, and not even the folder is made."""
    forged = forge(made, tmp_path / "forged.zip", **{name: b"x"})
    with pytest.raises(Damaged, match="is not a file of a bundle"):
        unpack(forged, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of 1 MiB, a file that unpacks to 4 MiB creates no folder."""
    forged = forge(made, tmp_path / "forged.zip", stderr_txt=bytes(4 * 1024**2))
    monkeypatch.setattr(bundle, "MAX_BYTES", 1024**2)
    with pytest.raises(Damaged, match="the limit of a bundle"):
        unpack(forged, tmp_path / "there")


def test_a_newer_bundle_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A format number above ours is named in the error, not read by guess."""
    monkeypatch.setattr(bundle, "FORMAT", 0)
    with pytest.raises(NoBundle, match="has format 1, written by a newer banken"):
        verify(made)


def test_importing_refuses_to_overwrite(made: Path, tmp_path: Path) -> None:
    """A folder that exists is an error, and stays empty."""
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        unpack(made, tmp_path / "there")
    assert not list((tmp_path / "there").iterdir())


def test_an_empty_stretch_says_what_there_is(folder: Path, tmp_path: Path) -> None:
    """The error has the span of the journal, and no file is left behind."""
    with pytest.raises(JournalError, match=r"nothing happened between 1970-.*; the journal spans 2027-01-15T08:00:00"):
        export(folder, Wanted(0, 10), tmp_path / "it.zip", NOW_NS)
    with pytest.raises(JournalError, match="knows no camera 'nobody'"):
        take(folder, tmp_path / "it.zip", lively()[0], lively()[9], "nobody")
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_journal_that_is_not_what_was_written_is_not_passed_on(folder: Path, tmp_path: Path) -> None:
    """One changed row makes the export fail; the error names the ten events of its batch."""
    change(folder, "UPDATE event SET stream = 'nobody', crc = 0 WHERE seq = 33")
    with pytest.raises(JournalError, match="events 31 to 40 are not what was written"):
        take(folder, tmp_path / "it.zip", lively()[24], lively()[54])
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_state_that_unpacks_to_too_much_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint above the limit is damage of its event, not memory used up."""
    monkeypatch.setattr("supervisor.journal.checkpoint.MAX_STATE", 100)
    with pytest.raises(Damaged, match=r"the state of event 20: .* is larger than any"):
        verify(made)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


HOSTILE = """</title></style><script>alert(1)</script><img src=x onerror='alert(2)'>"' \x1b[31m\u202e&amp;"""


def test_the_report_escapes_everything(tmp_path: Path) -> None:
    """Names, reasons, last output and notes with markup in them are text and nothing else."""
    camera, name = CameraId(HOSTILE), ChildId(HOSTILE)
    reason = Reason("bad", HOSTILE, Fault.FATAL)
    story = running(GATE, camera).given(c.ConnectCamera(camera), child(name, camera, HOSTILE))
    story.given(c.ReportChildEnded(name, 1, None, reason, (HOSTILE, HOSTILE)))
    story.after(3).given(c.ReportLoss(camera, reason, 0.3))
    story.after(3).given(c.RaiseAlert(HOSTILE, HOSTILE))
    rows = story.recorded
    folder = write_journal(tmp_path / "journal", rows)
    export(folder, Wanted(rows[0].wall_ns, rows[-1].wall_ns, note=HOSTILE), tmp_path / "it.zip", NOW_NS)
    page = text_of(tmp_path / "it.zip", "report.html")
    elements = Elements()
    elements.feed(page)
    assert {tag for tag, _ in elements.found} & {"script", "img", "link", "iframe", "object"} == set()
    for _, attributes in elements.found:
        assert not any(key.startswith("on") or key == "src" for key in attributes), attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert page.count("<title>") == page.count("</title>")
    assert "\x1b" not in page and "\u202e" not in page
    assert "url(" not in page.replace("url(#gap)", "") and "@import" not in page
    assert page.count("&lt;script&gt;") > 10
    verify(tmp_path / "it.zip")


def test_a_camera_is_what_the_report_is_about_and_the_journal_stays_whole(tmp_path: Path) -> None:
    """With `--camera` report, stderr and health are about one camera; all events stay, so that the seals fit."""
    story = running(GATE, YARD)
    for camera in (GATE, YARD):
        name = ChildId(f"child-{camera}")
        story.given(c.ConnectCamera(camera), child(name, camera))
        story.given(c.ReportChildEnded(name, 1, None, TEMPORARY, (f"words of {camera}",)))
        story.after(2).given(c.ReportLoss(camera, TEMPORARY, 0.3))
    folder = write_journal(tmp_path / "journal", story.recorded)
    path = tmp_path / "it.zip"
    take(folder, path, story.recorded[0], story.recorded[-1], "yard")
    assert verify(path).manifest.events == len(story.recorded)
    assert "words of yard" in text_of(path, "stderr.txt")
    assert "words of gate" not in text_of(path, "stderr.txt")
    report = text_of(path, "report.html")
    assert "yard is waiting: connection refused" in report
    assert "gate is waiting: connection refused" not in report
    health = msgspec.json.decode(text_of(path, "health.json"))
    assert [part["part"] for part in health["end"]["parts"]] == ["camera/yard"]
    assert (health["begin"]["verdict"], health["worst"]["verdict"]) == ("ok", "degraded")
    assert (health["begin"]["time"], health["end"]["time"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:00:04.000Z")


def test_figures_of_availability(tmp_path: Path) -> None:
    """Live for 6 of 10 seconds, lost once, away for 4."""
    story = live().after(6).given(c.ReportLoss(GATE, TEMPORARY, 4.0))
    story.after(4).given(c.ConnectCamera(GATE))
    folder = write_journal(tmp_path / "journal", story.recorded)
    take(folder, tmp_path / "it.zip", story.recorded[0], story.recorded[-1])
    report = text_of(tmp_path / "it.zip", "report.html")
    row = report[report.index("<h2>Availability") :].partition("</tr></thead>")[2].partition("</tr>")[0]
    assert re.findall("<td class=number>(.*?)</td>", row) == ["60.00 %", "10 s", "-", "-", "1", "1", "-", "4.0 s"]


def test_the_head_is_proven_by_the_hashes_of_the_daemon(folder: Path, tmp_path: Path) -> None:
    """The state before the first event is in the journal, with its hash."""
    rows = lively()
    (tmp_path / "copy").mkdir()
    reader = Reader(folder)
    stretch = excerpt.find_stretch(reader, rows[24].wall_ns, rows[54].wall_ns)
    assert stretch is not None
    excerpt.copy(reader, stretch, tmp_path / "copy")
    reader.close()
    copied = Reader(tmp_path / "copy")
    assert copied.state_hashes()[stretch.first - 1] == (RULE, state_hash(states(rows)[stretch.first - 1]))
    assert copied.state_at(stretch.first - 1) != State()
    copied.close()
    assert not check.verify(tmp_path / "copy").damages
    with apsw.Connection(str(next((tmp_path / "copy").iterdir()))) as db:
        assert db.pragma("journal_mode") == "delete"


def test_import_makes_the_report_of_the_journal_and_not_of_the_bundle(made: Path, tmp_path: Path) -> None:
    """For any report, health, configuration and last output of a bundle: scripts of a stranger reach no folder."""
    evil = b"<script>alert(1)</script>"
    changed: dict[str, bytes | Path] = {
        "report_html": evil, "health_json": b"{}", "configuration_json": evil, "stderr_txt": b"\x1b[2J"
    }  # fmt: skip
    proven = unpack(forge(made, tmp_path / "evil.zip", **changed), tmp_path / "there")
    assert set(proven.differing) == {"report.html", "health.json", "configuration.json", "stderr.txt"}
    unpack(made, tmp_path / "fair")
    for name in proven.differing:
        found = (tmp_path / "there" / name).read_bytes()
        assert evil not in found
        assert found == (tmp_path / "fair" / name).read_bytes()
    assert verify(forge(made, tmp_path / "evil.zip", **changed)).differing == proven.differing


def thirds_of(journal: Path, rows: list[Recorded], folder: Path, camera: str | None = None) -> None:
    """Export the middle third of a journal, import it, and require that both wrote the same bytes."""
    begin_ns, end_ns = rows[0].wall_ns, rows[-1].wall_ns
    third = (end_ns - begin_ns) // 3
    wanted = Wanted(begin_ns + third, end_ns - third, CameraId(camera) if camera else None)
    export(journal, wanted, folder / "it.zip", NOW_NS)
    proven = unpack(folder / "it.zip", folder / "there")
    assert proven.differing == ()
    assert proven.manifest.first > 1 and proven.manifest.last < rows[-1].seq, "the bundle is a part of the journal"


def test_import_of_a_middle_stretch_writes_what_export_wrote(made: Path) -> None:
    """Byte for byte: a difference means another release, or a forger."""
    assert verify(made).differing == ()


@pytest.mark.slow
@pytest.mark.parametrize("camera", [None, "camera-19"])
def test_import_of_the_incident_of_the_readme_writes_what_export_wrote(tmp_path: Path, camera: str | None) -> None:
    """Although phases, children and causes of the stretch began before it."""
    rows = the_incident()
    thirds_of(write_journal(tmp_path / "journal", rows, batch=50), rows, tmp_path, camera)


@pytest.mark.slow
def test_import_of_a_simulated_life_writes_what_export_wrote(tmp_path: Path) -> None:
    """With losses, restarts, and everything else that an hour of sixteen cameras has."""
    lived = [*simulate(7, hours=0.5, keep=True).rows]
    thirds_of(write_journal(tmp_path / "journal", lived, batch=50), lived, tmp_path)


def test_export_by_a_clock_that_is_behind_reports_the_whole_stretch(folder: Path, tmp_path: Path) -> None:
    """The export is never earlier than the events, and no length of time is negative."""
    rows = lively()
    wanted = Wanted(rows[24].wall_ns, rows[54].wall_ns)
    export(folder, wanted, tmp_path / "it.zip", rows[0].wall_ns - 10**12)
    proven = unpack(tmp_path / "it.zip", tmp_path / "there")
    report = (tmp_path / "there" / "report.html").read_text()
    assert proven.differing == ()
    assert proven.manifest.exported == iso(rows[-1].wall_ns)
    assert f"{iso(rows[24].wall_ns)} to {iso(rows[54].wall_ns)}" in report
    assert " -" not in re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", report, flags=re.DOTALL)


def test_import_of_a_bundle_that_was_exported_before_its_events_reports_them_all(made: Path, tmp_path: Path) -> None:
    """A release that wrote the time of a clock that was behind left such bundles."""
    opened = bundle.Bundle(made)
    manifest = opened.manifest
    (tmp_path / "files").mkdir()
    opened.unpack_to(tmp_path / "files")
    opened.close()
    contents: dict[str, bytes | Path] = {held.name: tmp_path / "files" / held.name for held in manifest.files}
    bundle.write(
        tmp_path / "it.zip", contents,
        lambda body, files: msgspec.structs.replace(manifest, body=body, files=files, exported="2001-01-01T00:00:00Z"),
    )  # fmt: skip
    assert unpack(tmp_path / "it.zip", tmp_path / "there").differing == ()


def test_bundle_between_two_runs_has_the_ends_of_both(tmp_path: Path) -> None:
    """Import knows, as export does, that the daemon was cut off after the stretch and that none ran before it."""
    rows = night()
    cut = next(number for number, row in enumerate(rows) if row.run == "run-2")
    journal = write_journal(tmp_path / "journal", rows, batch=1)
    until_ns = rows[cut].wall_ns - 1_000_000_000
    before = export(journal, Wanted(rows[0].wall_ns, until_ns), tmp_path / "before.zip", NOW_NS).stretch
    after = export(journal, Wanted(until_ns, rows[-1].wall_ns), tmp_path / "after.zip", NOW_NS).stretch
    assert (before.asked_last, before.last) == (rows[cut - 1].seq, rows[cut].seq)
    assert (after.asked_first, after.first) == (rows[cut].seq, rows[cut - 1].seq)
    for name in ("before.zip", "after.zip"):
        unpack(tmp_path / name, tmp_path / f"{name}.there")
        assert "the daemon was cut off: " in (tmp_path / f"{name}.there" / "report.html").read_text()


def test_a_manifest_with_times_of_a_forger_is_refused_or_bounded(made: Path, tmp_path: Path) -> None:
    """Invalid times are refused; times of other centuries make no drawing of other centuries."""
    opened = bundle.Bundle(made)
    manifest = opened.manifest
    (tmp_path / "files").mkdir()
    opened.unpack_to(tmp_path / "files")
    opened.close()
    contents: dict[str, bytes | Path] = {held.name: tmp_path / "files" / held.name for held in manifest.files}

    def make(**times: str) -> Path:
        bundle.write(
            tmp_path / "it.zip", contents,
            lambda body, files: msgspec.structs.replace(manifest, body=body, files=files, **times),
        )  # fmt: skip
        return tmp_path / "it.zip"

    with pytest.raises(Damaged, match="its times cannot be read"):
        verify(make(since="tomorrow"))
    unpack(make(since="0002-01-01T00:00:00Z", until="9998-01-01T00:00:00Z", exported="9998-01-01"), tmp_path / "there")
    assert (tmp_path / "there" / "report.html").stat().st_size < 1024**2


def test_export_refuses_what_import_would_refuse(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft is verified before it gets its name; nothing is left of one that is refused."""
    rows = lively()
    monkeypatch.setattr("supervisor.journal.segment.HASH_EVERY", BATCH)
    wrong = write_journal(tmp_path / "wrong", rows, batch=BATCH)
    change(wrong, "UPDATE state_hash SET hash = 'another' WHERE seq = 30")
    with pytest.raises(JournalError, match=r"import would refuse it: .*event 30: replayed, it leads to another state"):
        take(wrong, tmp_path / "it.zip", rows[24], rows[54])
    for name, least in (("MAX_BYTES", 9000), ("MAX_MANIFEST", 200), ("MAX_FILES", 3)):
        with monkeypatch.context() as patched:
            patched.setattr(bundle, name, least)
            with pytest.raises(JournalError):
                take(folder, tmp_path / "it.zip", rows[24], rows[54])
    assert {path.name for path in tmp_path.iterdir()} == {"journal", "wrong"}


def rewritten(made: Path, path: Path, change: Callable[[bytearray, int, int], None]) -> Path:
    """The bundle with its bytes changed; `change` gets them, and where directory and end record begin."""
    data = bytearray(made.read_bytes())
    end = data.rindex(b"PK\5\6")
    change(data, data.index(b"PK\1\2"), end)
    path.write_bytes(data)
    return path


def overlap(data: bytearray, directory: int, end: int) -> None:
    """The second file begins where the first one does."""
    second = data.index(b"PK\1\2", directory + 4)
    data[second + 42 : second + 46] = data[directory + 42 : directory + 46]


def use_a_data_descriptor(data: bytearray, directory: int, end: int) -> None:
    """Bit 3: sizes stand behind the content."""
    data[6] |= 8
    data[directory + 8] |= 8


def name_one_twice(data: bytearray, directory: int, end: int) -> None:
    """Two entries of the directory with one name, as its count says."""
    size = data.index(b"PK\1\2", directory + 4) - directory
    data[end:end] = data[directory : directory + size]
    count, length = struct.unpack_from("<HL", data, end + size + 10)
    struct.pack_into("<HHL", data, end + size + 8, count + 1, count + 1, length + size)


def lie_in_zip64(data: bytearray, directory: int, end: int) -> None:
    """Sizes that stand in a record of zip64 instead."""
    data[directory + 20 : directory + 28] = b"\xff" * 8


def claim_a_comment(data: bytearray, directory: int, end: int) -> None:
    """A comment of the whole, in which another zip may hide."""
    data[end + 20] = 4
    data += b"more"


def encrypt(data: bytearray, directory: int, end: int) -> None:
    """The bit that says that a file is encrypted."""
    data[directory + 8] |= 1


def hide_behind_the_manifest(data: bytearray, directory: int, end: int) -> None:
    """Four bytes more than the manifest has, in its entry and so outside of all digests."""
    last = data.rindex(b"PK\1\2")
    (offset,) = struct.unpack_from("<L", data, last + 42)
    for place in (offset + 18, last + 20, end + 16):  # packed sizes, and where the directory begins
        struct.pack_into("<L", data, place, struct.unpack_from("<L", data, place)[0] + 4)
    data[directory:directory] = b"more"


def claim_a_longer_name(data: bytearray, directory: int, end: int) -> None:
    """The name of the last file would continue behind the end of the directory."""
    data[data.rindex(b"PK\1\2") + 29] = 2


def count_other_files(data: bytearray, directory: int, end: int) -> None:
    """The last record counts one file less than the directory has."""
    data[end + 8] -= 1
    data[end + 10] -= 1


def date_the_manifest(data: bytearray, directory: int, end: int) -> None:
    """Another time in the header of the manifest, which no digest has."""
    (offset,) = struct.unpack_from("<L", data, data.rindex(b"PK\1\2") + 42)
    data[offset + 10] = 1


TRICKS = (
    overlap, use_a_data_descriptor, name_one_twice, lie_in_zip64, claim_a_comment, encrypt, hide_behind_the_manifest,
    claim_a_longer_name, count_other_files, date_the_manifest,
)  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_of_zip_is_refused(made: Path, tmp_path: Path, trick: Callable[[bytearray, int, int], None]) -> None:
    """A bundle has one layout; any other valid zip is refused."""
    with pytest.raises(Damaged):
        verify(rewritten(made, tmp_path / "it.zip", trick))


@pytest.mark.parametrize("zip64", [False, True])
def test_directory_of_64_mib_is_refused_and_not_read(tmp_path: Path, zip64: bool) -> None:
    """Neither where the last record names it, nor where one of zip64 does."""
    size, path = 64 * 1024**2, tmp_path / "it.zip"
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 9, 9, size, 0)
    large += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    with open(path, "wb") as file:
        file.truncate(size - 13)
        file.seek(0, os.SEEK_END)
        file.write(b"manifest.json" + (large if zip64 else b""))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 0 if zip64 else size, 0, 0))
    tracemalloc.start()
    try:
        with pytest.raises(Damaged):
            look_through(path)
        assert tracemalloc.get_traced_memory()[1] < size / 8
    finally:
        tracemalloc.stop()


def test_a_pipe_is_no_bundle(tmp_path: Path) -> None:
    """And is not waited for."""
    os.mkfifo(tmp_path / "it.zip")
    with pytest.raises(NoBundle):
        verify(tmp_path / "it.zip")
