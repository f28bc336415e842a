"""Cases are played to a real daemon from outside, and a wrong expectation does not pass."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from .daemon import ROOT, DaemonError, open_daemon
from .form import Expect, read_folder
from .run import Result, play

EXAMPLES = Path(__file__).parent / "examples"


async def test_every_example_passes(tmp_path: Path) -> None:
    """H.264 and H.265, over TCP and UDP, with a password, with audio, for long, and with a reason."""
    cases, reported = read_folder(EXAMPLES), list[Result]()
    results = await play(tmp_path, cases, reported.append)
    assert {result.name: result.difference for result in results} == dict.fromkeys(cases, "")
    assert sorted(results, key=str) == sorted(reported, key=str)


async def test_wrong_expectation_fails_and_names_the_first_difference(tmp_path: Path) -> None:
    """Of pictures the place and the digest; of other expectations the state of the camera."""
    plain, says_so = (read_folder(EXAMPLES)[name] for name in ("plain", "h263_says_so"))
    right = plain.expect.pictures or ()
    wrong = {
        "another": Expect(pictures=(right[0], "0" * 16, *right[2:]), nothing_else=True),
        "one_less": Expect(pictures=right[:-1], nothing_else=True),
        "two_more": Expect(pictures=(*right, *right[:2]), nothing_else=True),
        "in_another_order": Expect(pictures=(right[1], right[0])),
        "a_reason": Expect(reason_mentions_any=("HEVC",)),
    }
    cases = {name: msgspec.structs.replace(plain, expect=expect) for name, expect in wrong.items()}
    cases["a_reason"] = msgspec.structs.replace(says_so, expect=wrong["a_reason"])
    found = {result.name: result.difference for result in await play(tmp_path, cases)}
    assert found["another"] == f"access unit 2 of {len(right)} is {right[1]}, expected {'0' * 16}"
    assert found["one_less"] == f"access unit {len(right)} came, expected {len(right) - 1} and no more"
    assert f"{len(right)} of {len(right) + 2} access units came, expected {right[0]} next" in found["two_more"]
    assert found["in_another_order"].startswith("access unit 2 of 2 did not come")
    assert found["a_reason"].startswith("neither pictures nor a reason that mentions HEVC; the camera is failed: ")


async def test_refused_configuration_is_an_error_with_the_words_of_the_check(tmp_path: Path) -> None:
    """Nothing is started."""
    with pytest.raises(DaemonError, match=r"the configuration was refused: (?s:.*)camera name 'No Name' must be"):
        async with open_daemon(tmp_path, {"No Name": {"source": "rtsp://127.0.0.1/stream"}}):
            pass


def test_no_module_of_the_program_is_imported() -> None:
    """So that the cases can be played after every move of modules."""
    look = (
        "import sys, tests.kit.cases.run; "
        "print(*(name for name in sys.modules if name.partition('.')[0] in ('supervisor', 'actors', 'web')))"
    )
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
