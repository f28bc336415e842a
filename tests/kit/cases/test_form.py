"""Errors in a case are reported with the field, before anything is started."""

import json
from pathlib import Path
from typing import Any

import pytest

from .form import CaseError, parse, read_folder

EXAMPLES = Path(__file__).parent / "examples"


def case(**changes: Any) -> dict[str, Any]:
    """A small case that is right, with other values."""
    rule = {"method": "OPTIONS", "reply": ["RTSP/1.0 200 OK", "CSeq: {cseq}"]}
    right = {"codec": "h264", "dialogue": [rule], "pictures_hex_interleaved": ["24000001ff"]}
    return right | {"expect": {"pictures": ["0"]}} | changes


def problems(text: str) -> list[str]:
    with pytest.raises(CaseError) as raised:
        parse(text)
    return list(raised.value.problems)


def test_right_case_is_read_with_its_defaults() -> None:
    """Keys that are left out have the documented values."""
    read = parse(json.dumps(case()))
    assert (read.tries, read.within_s, read.pace_s, read.loop, read.transport) == (1, 3.0, 0.05, False, "")
    assert read.pictures == (b"$\0\0\x01\xff",)


def test_unknown_keys_are_named_each_with_its_place() -> None:
    """A misspelt key is an error, not a check that is left out."""
    digest = {"user": "u", "password": "p", "realm": "r", "nonce": "n", "algorithm": "MD5", "qop": "auth"}
    dialogue = [{"repply": []}, {"unless_digest": digest}]
    expect = {"picture": [], "audio": {"codec": "aac", "bits": 16}}
    assert problems(json.dumps(case(tires=3, dialogue=dialogue, expect=expect))) == [
        "tires: unknown key; did you mean tries?",
        "expect.picture: unknown key; did you mean pictures?",
        "expect.audio.bits: unknown key",
        "dialogue[0].repply: unknown key; did you mean reply?",
        "dialogue[1].unless_digest.qop: unknown key",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"codec": "vp8"}, "codec: Invalid enum value 'vp8'"),
        ({"tries": "3"}, "tries: Expected `int`, got `str`"),
        ({"dialogue": [{"reply": [1]}]}, "dialogue[0].reply[0]: Expected `str`, got `int`"),
        ({"dialogue": []}, "dialogue: needs a rule"),
        ({"expect": {}}, "expect: needs exactly one of pictures, reason_mentions_any, alive_after_s, audio and video"),
        (
            {"expect": {"pictures": ["0"], "alive_after_s": 1}},
            "expect: needs exactly one of pictures, reason_mentions_any, alive_after_s, audio and video;"
            " it has pictures and alive_after_s",
        ),
        (
            {"expect": {"reason_mentions_any": ["x"], "nothing_else": True}},
            "expect.nothing_else: goes with pictures only",
        ),
        (
            {"expect": {"pictures": []}},
            "expect.pictures: expects nothing; no pictures at all are `[]` with nothing_else",
        ),
        ({"expect": {"alive_after_s": 5}}, "expect.alive_after_s: must be above 0 and not above within_s"),
        ({"credentials": "admin"}, "credentials: must look like user:password, with an @ written as %40"),
        ({"within_s": 0}, "within_s: must be from 0.1 to 600"),
        ({"tries": 0}, "tries: must be from 1 to 600"),
        ({"pictures_hex_interleaved": ["2z"]}, "pictures_hex_interleaved[0]: is not in hexadecimal digits"),
        (
            {"dialogue": [{"udp": True}], "pictures_hex_interleaved": ["2400"]},
            "pictures_hex_interleaved[0]: no whole interleaved packets, which loop and udp need",
        ),
        (
            {"dialogue": [{"reply": ["CSeq: {seq}"]}]},
            "dialogue[0].reply: {seq} is unknown; there are port, cseq, cseq-1, client_port, server_port",
        ),
        (
            {"dialogue": [{"reply": ["{cseq:q}"]}]},
            "dialogue[0].reply: {cseq:q} has no such form; a number may have one like 04d or x",
        ),
        ({"dialogue": [{"has": ["Range"]}]}, "dialogue[0].has: 'Range' must be in lower case"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_wrong_value_is_named_with_its_field(changes: dict[str, Any], problem: str) -> None:
    """Of a type, of a range, and of values that contradict each other."""
    assert problems(json.dumps(case(**changes))) == [problem]


def test_text_that_is_no_json_is_named_with_its_line() -> None:
    """A comma too many is found where it stands."""
    assert problems('{"codec": "h264",\n "tries": }') == ["line 2, column 11: Expecting value"]


def test_folder_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    """All problems come at once, each with its file."""
    (tmp_path / "a.json").write_text("[")
    (tmp_path / "b.json").write_text(json.dumps(case(name="c")))
    (tmp_path / "right.json").write_text(json.dumps(case(name="right")))
    with pytest.raises(CaseError) as raised:
        read_folder(tmp_path)
    assert list(raised.value.problems) == [
        f"{tmp_path / 'a.json'}: line 1, column 2: Expecting value",
        f"{tmp_path / 'b.json'}: name: is 'c', not the name of the file",
    ]
    assert list(read_folder(tmp_path, ["right"])) == ["right"]
    with pytest.raises(CaseError, match="no case 'rihgt'; did you mean right"):
        read_folder(tmp_path, ["rihgt"])


def test_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    """So is one that is not there: nothing was played, which is no success."""
    with pytest.raises(CaseError, match="no case is in it"):
        read_folder(tmp_path)
    with pytest.raises(CaseError, match="there is no such folder"):
        read_folder(tmp_path / "nowhere")


def test_every_example_is_right_and_documented() -> None:
    """The examples can be read, and say what they are for."""
    examples = read_folder(EXAMPLES)
    assert all(example.why and example.name for example in examples.values())
    kinds = {example.expect.pictures is not None for example in examples.values()}
    assert kinds == {True, False}
