"""`banken incident` with video, as a person types it: what is in the bundle, what that shows, and what it does not."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.domain.events import RecordingInterrupted
from tests.supervisor.forensics.incident.test_video import Site, digest_of, make_site

STRETCH = ("--from", "2027-01-15T08:00:14Z", "--to", "2027-01-15T08:00:15Z", "--utc")
VIDEO = ("--video", "gate", "--video-from", "2027-01-15T08:00:05Z", "--video-to", "2027-01-15T08:00:30Z")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


def banken(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["incident", *map(str, arguments)])


def export(site: Site, *more: str) -> Result:
    return banken(
        "export", site.journal, *STRETCH, *VIDEO, "--archive", site.recordings, *more, "--force", "-o", site.bundle
    )


def lines(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return [line.strip() for line in done.stdout.splitlines()]


def test_verify_says_what_is_shown_and_what_is_not(site: Site) -> None:
    """Without a digest from elsewhere, video and journal fit each other, and that is all."""
    assert lines(export(site))[0].startswith("video: 5 recording files of gate: ")
    said = lines(banken("verify", site.bundle))
    lost = site.seq(RecordingInterrupted)
    (video,) = (number for number, line in enumerate(said) if line.startswith("video of gate, "))
    assert said[video].startswith("video of gate, 2027-01-15T08:00:05.000Z to 2027-01-15T08:00:30.000Z: 5 files, ")
    assert said[video + 1 : video + 6] == [
        "sealed: 4 files are byte for byte as the journal has sealed",
        "not sealed: video/gate/recording_20270115_080028.mp4: it was still growing, or was cut off; nothing shows "
        "that it is as it was recorded",
        f"no video: 2027-01-15T08:00:12.000Z to 2027-01-15T08:00:20.000Z (8.0 s): connection refused (event {lost}, "
        f"caused by event {lost - 1}: gate is waiting: connection refused; next attempt in 0.5 s)",
        "shown: the sealed video is the video that the journal in this bundle has sealed",
        "not shown: that nobody made journal and video again; --expect with a digest noted elsewhere shows it",
    ]


def test_expected_digest_shows_more(site: Site) -> None:
    """Up to its event: a file that was sealed later is named as not shown."""
    digest = digest_of(site, site.rows[-1].seq)
    lines(export(site, "--expect", digest))
    said = lines(banken("verify", site.bundle, "--expect", digest[:20]))
    last = site.rows[-1].seq
    assert f"expected digest: met after event {last}: up to there, nobody has made the journal again" in said
    assert "shown: the journal had the SHA-256 of 4 sealed files, as here, when the expected digest was noted" in said
    assert not any(line.startswith("not shown") for line in said)
    early = digest_of(site, site.seq(RecordingInterrupted) - 2)
    said = lines(banken("verify", site.bundle, "--expect", early))
    later, gap = (line for line in said if line.startswith("not shown"))
    assert later.startswith("not shown: the same of 4 sealed files, sealed after event ")
    assert gap.startswith("not shown: the reason of 1 time without video, noted after event ")
    assert not any(line.startswith("shown") for line in said)


def test_other_digest_is_exit_1(site: Site) -> None:
    """The journal was made again, or the digest is of another one."""
    export(site)
    for command, *more in (("verify",), ("import", "-o", str(site.folder / "there"))):
        done = banken(command, site.bundle, *more, "--expect", "0123 4567 89ab cdef")
        assert done.exit_code == 1
        assert "no batch with the digest of --expect: history was made again" in done.stderr
    assert not (site.folder / "there").exists()


def test_import_leaves_the_video_beside_the_journal(site: Site) -> None:
    """As it was recorded; the folder is named."""
    export(site)
    there = site.folder / "there"
    assert f"{there / 'video' / 'gate'}  (in a player)" in lines(banken("import", site.bundle, "-o", there))
    for file in site.files[1:4]:
        assert (there / "video" / "gate" / Path(file.path).name).read_bytes() == (
            site.recordings / file.path
        ).read_bytes()


def test_changed_file_is_named_as_left_out(site: Site) -> None:
    """It is not what was recorded; the rest of the export is made."""
    path = site.recordings / site.files[1].path
    path.write_bytes(path.read_bytes()[:-100])
    said = lines(export(site))
    assert any(line.startswith("left out: video/gate/recording_20270115_080004.mp4: ") for line in said)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--anonymous",), "--anonymous goes with neither --video nor --expect"),
        (("--video", "gates"), "the journal knows no camera 'gates'; did you mean gate?"),
        (("--archive", "nowhere"), "there is no folder 'nowhere'"),
        (("--expect", "0123456789abcdef"), "no batch has the digest of --expect"),
        (("--video-from", "2027-01-15T08:00:40Z"), "is after the end"),
    ],
)
def test_refused_export_is_one_line_and_no_file(site: Site, more: tuple[str, ...], said: str) -> None:
    """Exit 2, and nothing half done."""
    done = export(site, *more)
    assert done.exit_code == 2
    assert said in done.stderr.splitlines()[-1]
    assert not site.bundle.exists()
