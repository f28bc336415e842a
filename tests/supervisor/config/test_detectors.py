"""The section `detectors`: each wrong entry is a complaint with its line, and secrets stay hidden."""

import pytest

from supervisor.config.config import Detector
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError

HEAD = "cameras:\n  gate: test:320x180@5\n  yard: test:320x180@5\n"


def detectors(text: str, **environ: str) -> dict[str, Detector]:
    """The detectors of a configuration whose section begins on line 4."""
    config = parse(f"{HEAD}{text}", "test.yaml", environ, {"test": lambda _: None})
    return dict(config.detectors)


def complaints(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        detectors(text, **environ)
    return list(raised.value.complaints)


def test_program_and_service_have_their_settings_and_defaults() -> None:
    """Times are in seconds; without `cameras` a detector gets all."""
    found = detectors(
        "detectors:\n"
        "  yolo: {command: [run, --fast], cameras: [yard], fps: 0.5, env: {MODEL_KEY: '${KEY}'}}\n"
        "  lab: {url: 'https://lab.example/', format: analyze-v1, token: '${KEY}', every: 30s, hints: {gate: road}}\n"
        "  plain: {url: 'http://127.0.0.1:9'}\n"
        "  cat: {shm: /detections, cameras: [gate], fps: 2}\n",
        KEY="hidden-key",
    )
    yolo, lab, plain = found["yolo"], found["lab"], found["plain"]
    assert (yolo.kind, yolo.arguments, yolo.cameras, yolo.fps) == (
        "command", ("run", "--fast"), ("yard",), 0.5,
    )  # fmt: skip
    assert (yolo.env, "hidden-key" in yolo.secrets) == ({"MODEL_KEY": "hidden-key"}, True)
    assert (lab.kind, lab.address, lab.format, lab.every_s) == ("url", "https://lab.example/", "analyze-v1", 30.0)
    assert (lab.token, lab.hints) == ("hidden-key", {"gate": "road"})
    assert (plain.format, plain.every_s, plain.cameras, plain.token) == ("banken", 10.0, (), "")
    assert (found["cat"].kind, found["cat"].address, found["cat"].cameras) == ("shm", "/detections", ("gate",))
    assert "hidden-key" not in repr(found)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("yolo: {}", "needs exactly one of: command or url or shm"),
        ("yolo: {command: [run], url: 'http://h/'}", "needs exactly one of: command or url or shm"),
        ("yolo: {fps: 2}", "needs exactly one of"),
        ("yolo: run", "must be a mapping"),
        ("yolo: {command: []}", "is empty; write a program and its arguments"),
        ("yolo: {command: run}", "must be a list"),
        ("yolo: {url: 'ftp://h/'}", "must be like http://HOST:PORT/PATH"),
        ("yolo: {url: 'http:///x'}", "must be like http://HOST:PORT/PATH"),
        ("yolo: {command: [run], token: abcd}", "only a detector with url has token"),
        ("yolo: {command: [run], every: 5s}", "only a detector with url has every"),
        ("yolo: {command: [run], format: banken}", "only a detector with url has format"),
        ("yolo: {url: 'http://h/', fps: 2}", "only a detector with command or shm has fps"),
        ("yolo: {url: 'http://h/', env: {A: b}}", "only a detector with command has env"),
        ("yolo: {url: 'http://h/', hints: {gate: x}}", "only `format: analyze-v1` has hints"),
        ("yolo: {url: 'http://h/', format: v2}", "must be banken or analyze-v1"),
        ("yolo: {url: 'http://h/', token: abc}", "must have 4 characters or more"),
        ("yolo: {url: 'http://h/', token: 'a b c d'}", "must be text without spaces"),
        ("yolo: {command: [run], fps: 0}", "fps of detector 'yolo'"),
        ("yolo: {command: [run], fps: 100}", "fps of detector 'yolo'"),
        ("yolo: {url: 'http://h/', every: 10ms}", "every of detector 'yolo'"),
        ("yolo: {command: [run], cameras: [door]}", "names 'door'; cameras: gate, yard"),
        ("yolo: {command: [run], cameras: [gate, gate]}", "twice"),
        ("yolo: {url: 'http://h/', format: analyze-v1, hints: {door: x}}", "names 'door'"),
        ("yolo: {shm: detections, cameras: [gate]}", "must be one slash and a name"),
        ("yolo: {shm: /a/b, cameras: [gate]}", "must be one slash and a name"),
        ("yolo: {shm: /detections}", "needs `cameras` with the one camera"),
        ("yolo: {shm: /detections, cameras: [gate, yard]}", "needs `cameras` with the one camera"),
        ("yolo: {shm: /detections, cameras: [gate], env: {A: b}}", "only a detector with command has env"),
        ("yolo: {command: [run], colour: red}", "unknown key"),
        ("yolo: {command: [run], env: {BANKEN_X: y}}", "are our own names"),
        ("motion: {command: [run]}", "is that of banken's own detector"),
        ("Yolo: {command: [run]}", "must be of a-z, 0-9, - and _"),
        ("1st: {command: [run]}", "begin with a letter"),
    ],
)
def test_wrong_detector_is_a_complaint_with_its_line(entry: str, problem: str) -> None:
    """A setting that means nothing for a kind is refused, too."""
    found = complaints(f"detectors:\n  {entry}\n")
    assert any(problem in each for each in found), found
    assert all(each.startswith("test.yaml:5: ") for each in found), found


def test_too_many_detectors_and_a_part_that_is_off_are_complaints() -> None:
    """32 are allowed; the part `detections` must be on."""
    many = "".join(f"  d{number}: {{command: [run]}}\n" for number in range(33))
    (found,) = complaints(f"detectors:\n{many}")
    assert "33 entries; at most 32" in found
    (found,) = complaints("parts: {detections: off}\ndetectors: {yolo: {command: [run]}}\n")
    assert found.startswith("test.yaml:5: ")
    assert "parts.detections to be on" in found


def test_complaint_about_a_secret_shows_nothing_of_it() -> None:
    """Neither a token nor an address that comes from a variable."""
    found = complaints(
        "detectors:\n  lab: {url: '${WHERE}', token: '${KEY}'}\n", WHERE="gopher://u:pass-word@h", KEY="k e y"
    )
    assert len(found) == 2
    assert not any(secret in each for each in found for secret in ("pass-word", "k e y", "gopher"))


@pytest.mark.parametrize(
    "entry",
    [
        "{command: [/bin/cat, --flag, '${KEY}']}",
        "{command: [/bin/cat, 'x=${KEY}y']}",
        "{command: ['${KEY}']}",
        "{command: [/bin/cat, hidden-key], env: {MODEL_KEY: '${KEY}'}}",
        "{command: [/bin/cat, --password, hidden-key]}",
        "{command: [/bin/cat, 'http://user:hidden-key@host/']}",
    ],
)
def test_secret_in_a_command_is_a_complaint_that_hides_it(entry: str) -> None:
    """Every user of the machine can read the arguments of a process."""
    (found,) = complaints(f"detectors:\n  yolo: {entry}\n", KEY="hidden-key")
    assert found.startswith("test.yaml:5: ")
    assert "hand it over by `env`" in found
    assert "hidden-key" not in found
