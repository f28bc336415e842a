"""The form of a camera case: the keys that a file may have, and what is wrong with one. `README.md` describes them.

Rules of this file:
- An unknown key, a value of another type and a contradiction are errors that name the field.
- All errors that can be found before a daemon is started are found here.
- Only `read_folder` touches the disk.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from .dialogue import Digest, Rule, complaints_of
from .packets import frames

MOST_S = 600.0
"""A case that takes longer is no case."""


class CaseError(Exception):
    """`problems`: one line for each, with the field and, from `read_folder`, the file in front."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The audio format that the daemon is to recognise. `config` is an AudioSpecificConfig in hexadecimal digits."""

    codec: str
    rate: int = 0
    channels: int = 0
    config: str = ""


class Video(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The video format that the daemon is to recognise. Width and height are in pixels."""

    codec: str
    width: int
    height: int


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of `pictures`, `reason_mentions_any`, `alive_after_s`, `audio` and `video`."""

    pictures: tuple[str, ...] | None = None
    nothing_else: bool = False
    reason_mentions_any: tuple[str, ...] | None = None
    alive_after_s: float | None = None
    audio: Audio | None = None
    video: Video | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A camera, what it does, and what is expected of the daemon. Times are in seconds."""

    codec: Literal["h264", "h265", "mjpeg", "mpeg4"]
    dialogue: tuple[Rule, ...]
    pictures_hex_interleaved: tuple[str, ...]
    expect: Expect
    name: str = ""
    why: str = ""
    seen_in: str = ""
    credentials: str = ""
    transport: Literal["", "tcp", "udp"] = ""
    tries: int = 1
    within_s: float = 3.0
    pace_s: float = 0.05
    loop: bool = False

    @cached_property
    def pictures(self) -> tuple[bytes, ...]:
        """For each picture the bytes that the camera sends, interleaved (RFC 2326, section 10.12)."""
        return tuple(map(bytes.fromhex, self.pictures_hex_interleaved))


def parse(text: str) -> Case:
    """The case that a file holds. Raises `CaseError`."""
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise CaseError([f"line {error.lineno}, column {error.colno}: {error.msg}"]) from None
    unknown = list(_unknown(raw))
    if unknown:
        raise CaseError(unknown)
    try:
        case = msgspec.convert(raw, Case)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        raise CaseError([f"{where.strip('`').removeprefix('$').removeprefix('.') or 'the file'}: {text}"]) from None
    problems = list(_contradictions(case))
    if problems:
        raise CaseError(problems)
    return case


def read_folder(folder: Path, names: Sequence[str] = ()) -> dict[str, Case]:
    """The cases of a folder, or those with these names, by the names of their files. Raises `CaseError`."""
    if not folder.is_dir():
        raise CaseError([f"{folder}: there is no such folder"])
    files = {file.stem: file for file in sorted(folder.glob("*.json"))}
    if not files:
        raise CaseError([f"{folder}: no case is in it; cases are files that end in .json"])
    problems = [f"{folder}: no case {name!r}{_suggestion(name, files)}" for name in names if name not in files]
    cases: dict[str, Case] = {}
    for name, file in files.items():
        if names and name not in names:
            continue
        try:
            cases[name] = parse(file.read_text("utf-8"))
        except CaseError as error:
            problems += [f"{file}: {problem}" for problem in error.problems]
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: cannot be read: {error}")
        else:
            if cases[name].name not in ("", name):
                problems.append(f"{file}: name: is {cases[name].name!r}, not the name of the file")
    if problems:
        raise CaseError(problems)
    return cases


def _unknown(raw: Any) -> Iterator[str]:
    """A line for each key that is not known, wherever it stands."""
    yield from _unknown_in(raw, Case, "")
    if not isinstance(raw, dict):
        return
    yield from _unknown_in(raw.get("expect"), Expect, "expect.")
    if isinstance(raw.get("expect"), dict):
        yield from _unknown_in(raw["expect"].get("audio"), Audio, "expect.audio.")
        yield from _unknown_in(raw["expect"].get("video"), Video, "expect.video.")
    rules = raw.get("dialogue")
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        yield from _unknown_in(rule, Rule, f"dialogue[{number}].")
        if isinstance(rule, dict):
            yield from _unknown_in(rule.get("unless_digest"), Digest, f"dialogue[{number}].unless_digest.")


def _unknown_in(value: Any, kind: type[msgspec.Struct], where: str) -> Iterator[str]:
    known = kind.__struct_fields__
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            yield f"{where}{key}: unknown key{_suggestion(key, known)}"


def _suggestion(word: str, known: Sequence[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _contradictions(case: Case) -> Iterator[str]:
    """A line for each value that no case can have."""
    chosen = [
        name
        for name in ("pictures", "reason_mentions_any", "alive_after_s", "audio", "video")
        if getattr(case.expect, name) is not None
    ]
    if len(chosen) != 1:
        found = f"; it has {' and '.join(chosen)}" if chosen else ""
        yield f"expect: needs exactly one of pictures, reason_mentions_any, alive_after_s, audio and video{found}"
    if case.expect.nothing_else and case.expect.pictures is None:
        yield "expect.nothing_else: goes with pictures only"
    if case.expect.pictures == () and not case.expect.nothing_else:
        yield "expect.pictures: expects nothing; no pictures at all are `[]` with nothing_else"
    if not case.dialogue:
        yield "dialogue: needs a rule"
    if case.credentials and (":" not in case.credentials or "@" in case.credentials):
        yield "credentials: must look like user:password, with an @ written as %40"
    for name, least in (("within_s", 0.1), ("pace_s", 0.0), ("tries", 1)):
        if not least <= getattr(case, name) <= MOST_S:
            yield f"{name}: must be from {least:g} to {MOST_S:g}"
    alive_s = case.expect.alive_after_s
    if alive_s is not None and not 0 < alive_s <= case.within_s:
        yield "expect.alive_after_s: must be above 0 and not above within_s"
    for number, rule in enumerate(case.dialogue):
        yield from (f"dialogue[{number}].{problem}" for problem in complaints_of(rule))
    taken_apart = case.loop or any(rule.udp for rule in case.dialogue)
    for number, text in enumerate(case.pictures_hex_interleaved):
        try:
            data = bytes.fromhex(text)
        except ValueError:
            yield f"pictures_hex_interleaved[{number}]: is not in hexadecimal digits"
        else:
            if taken_apart and frames(data) is None:
                yield f"pictures_hex_interleaved[{number}]: no whole interleaved packets, which loop and udp need"
