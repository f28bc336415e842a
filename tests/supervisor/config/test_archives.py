"""The section `archives`, and the archive of each camera."""

from pathlib import Path

import pytest

from supervisor.config.config import ArchiveSettings, Config
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError

DAY = 86_400.0
GIB = 1024**3
CAMERAS = "cameras: {gate: 'rtsp://192.0.2.1/'}\n"


def read(text: str, base: Path = Path("/etc/banken")) -> Config:
    return parse(text, "banken.yaml", {}, {"rtsp": lambda source: None}, base)


def test_archives_have_names_and_one_is_always_there() -> None:
    """That of `record.path`. Cameras name another one; so may all of them."""
    found = read(
        "record: {path: /srv/hot, keep: 3d}\n"
        "archives: {cold: {path: /mnt/big, max_size: 4TiB, keep: 60d}, usb: {path: usb, sync: 2s, reserve: 1GiB}}\n"
        "cameras:\n"
        "  gate: {source: 'rtsp://192.0.2.1/', record: {archive: cold}}\n"
        "  yard: {source: 'rtsp://192.0.2.2/', record: {archive: usb, keep: 5d}}\n"
        "  roof: {source: 'rtsp://192.0.2.3/', record: always}\n"
    )
    assert found.archives == {
        "recordings": ArchiveSettings(Path("/srv/hot"), 10, 2 * GIB, 3 * DAY, 30 * DAY, None),
        "cold": ArchiveSettings(Path("/mnt/big"), 10, 2 * GIB, 60 * DAY, 60 * DAY, 4096 * GIB),
        "usb": ArchiveSettings(Path("/etc/banken/usb"), 2, GIB, 3 * DAY, 30 * DAY, None),
    }
    chosen = {name: (source.recording.archive, source.recording.keep_s / DAY) for name, source in found.cameras.items()}
    assert chosen == {"gate": ("cold", 60), "yard": ("usb", 5), "roof": ("recordings", 3)}
    for_all = read(f"record: {{archive: cold}}\narchives: {{cold: {{path: /mnt/big}}}}\n{CAMERAS}")
    assert [source.recording.archive for source in for_all.cameras.values()] == ["cold"]


def test_change_of_an_archive_needs_a_start() -> None:
    """That of a camera's archive does not."""
    text = (
        "archives: {{cold: {{path: /mnt/{}}}}}\ncameras: {{gate: {{source: 'rtsp://h/', record: {{archive: {}}}}}}}\n"
    )
    running = read(text.format("big", "cold"))
    assert read(text.format("big", "recordings")).changed_at_start(running) == []
    assert read(text.format("other", "cold")).changed_at_start(running) == ["archives"]
    assert read(f"record: {{path: other}}\n{CAMERAS}").changed_at_start(read(CAMERAS)) == ["record.path"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("archives: {cold: {path: /srv/recordings}}", "the folder of archive 'cold' is that of 'recordings'"),
        ("archives: {cold: {path: /srv/recordings/../recordings/}}", "'cold' is that of 'recordings'"),
        ("archives: {cold: {path: /srv/recordings/cold}}", "'cold' is within that of 'recordings'"),
        ("archives: {cold: {path: /srv}}", "'cold' contains that of 'recordings'"),
        ("archives: {a: {path: /mnt/a}, b: {path: /mnt/a/b}}", "'b' is within that of 'a'; one archive cannot be"),
        ("archives: {cold: {sync: 1s}}", "archive 'cold' needs `path`"),
        ("archives: {cold: /mnt/big}", "must be a mapping"),
        ("archives: {recordings: {path: /mnt/big}}", "archive 'recordings' is the one of record.path"),
        ("archives: {Cold: {path: /mnt/big}}", "archive name 'Cold' must be of a-z"),
        ("archives: {cold: {path: /mnt/big, quota: 3}}", "unknown key 'quota' in archive 'cold'"),
        ("archives: {cold: {path: /mnt/big, sync: 1h}}", "sync of archive 'cold' must be"),
        ("record: {archive: cold}", "there is no archive 'cold'; there are recordings"),
        (f"archives: {{{', '.join(f'd{n}: {{path: /mnt/{n}}}' for n in range(17))}}}", "at most 16"),
    ],
)
def test_wrong_archive_is_a_problem_of_its_line(text: str, problem: str) -> None:
    """Nothing is started then."""
    with pytest.raises(ConfigError) as error:
        read(CAMERAS + text, Path("/srv"))
    assert any(problem in each for each in error.value.complaints), error.value.complaints
    assert all(each.startswith("banken.yaml:2: ") for each in error.value.complaints)


def test_folders_are_compared_through_links(tmp_path: Path) -> None:
    """Two writers in one folder would remove each other's files."""
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big")
    with pytest.raises(ConfigError, match="'b' is within that of 'a'"):
        read(f"archives: {{a: {{path: big}}, b: {{path: link/b}}}}\n{CAMERAS}", tmp_path)


def test_camera_with_an_archive_that_is_missing_is_a_problem_of_its_line() -> None:
    """The line that names it."""
    text = "cameras:\n  gate:\n    source: rtsp://192.0.2.1/\n    record:\n      archive: cold\n"
    with pytest.raises(ConfigError, match=r"banken.yaml:5: there is no archive 'cold'"):
        read(text)
