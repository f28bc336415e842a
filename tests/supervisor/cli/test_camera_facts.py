"""The facts about a camera in words: the command and the page say the same."""

import json
import random
import subprocess
from typing import Any

import msgspec

from supervisor.cli.camera_facts import rows_of
from supervisor.domain.values import CODEC_NAMES
from supervisor.ports.facts import CameraFacts
from tests.kit.daemon import ROOT

PAGE = ROOT / "web" / "dashboard" / "panels" / "large" / "about.js"
PROGRAM = f"""
import {{ rowsOf }} from {PAGE.as_uri()!r};
import {{ readFileSync }} from "node:fs";
const rows = JSON.parse(readFileSync(0)).map((facts) => rowsOf(facts).map(({{ label, words }}) => [label, words]));
console.log(JSON.stringify(rows));
"""
NUMBERS = {
    "width": (64, 1920, 3840), "height": (48, 1080, 2160), "fps": (0.0, 0.25, 14.35, 24.97, 30.0),
    "bitrate": (0, 500, 1500, 999_999, 1_000_000, 1_250_000, 4_123_456), "gop_frames": (1, 2, 50, 600),
    "gop_s": (0.04, 1.005, 2.001, 12.125, 300.0), "audio_rate": (8000, 11_025, 22_050, 44_100, 48_000),
    "audio_channels": (1, 2), "round_trip_s": (0.0, 0.0005, 0.0025, 2.3), "slowest_s": (0.0035, 12.5),
    "loss": (0.0, 0.00125, 0.5, 1.0), "jitter_s": (0.0, 0.00025, 0.00195, 0.4),
    "clock_skew_s": (0.0, 0.04, -0.04, 0.05, -0.25, 7.44, -3600.0),
}  # fmt: skip
TEXTS = {
    "profile": "High", "level": "4.1", "transport": "RTP over TCP", "slowest": "SETUP", "server": "Hipcam <b>",
    "title": "門", "information": "x", "tool": "LIVE555", "tls": "TLSv1.3", "certificate": "5f2b", "encryption": "SRTP",
    "audio_use": "passed on unchanged",
}  # fmt: skip
CODECS = ("", *CODEC_NAMES, "amr-wb", "l16", "gsm", "vp8", "h266")


def facts_by_chance(chance: random.Random) -> CameraFacts:
    """Each fact is known in about two of three cases."""
    known: dict[str, Any] = {name: chance.choice(values) for name, values in NUMBERS.items()}
    known |= {
        **TEXTS,
        "codec": chance.choice(CODECS),
        "audio": chance.choice(CODECS),
        "b_frames": chance.random() < 0.5,
    }
    return CameraFacts(**{name: value for name, value in known.items() if chance.random() < 0.67})


def test_command_and_page_have_the_same_labels_and_words() -> None:
    """For a thousand cameras, known in part: the same lines in the same order, and numbers rounded alike."""
    chance = random.Random(16)
    cameras = [CameraFacts(), *(CameraFacts(codec=each, audio=each) for each in CODECS)]
    cameras += [facts_by_chance(chance) for _ in range(1000)]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PROGRAM],
        input=json.dumps(msgspec.to_builtins(cameras)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for facts, page in zip(cameras, json.loads(done.stdout), strict=True):
        assert [[label, words] for label, words in rows_of(facts) if words] == page, facts


def test_codecs_have_their_usual_spelling() -> None:
    """In the words of a camera no codec is as programs write it."""
    facts = CameraFacts(codec="h265", audio="pcma", width=640, height=360, fps=25.0, audio_rate=8000, audio_channels=1)
    rows = dict(rows_of(facts))
    assert rows["video"] == "H.265, 640×360, 25.0 fps, 0 kb/s"
    assert rows["audio"] == "G.711 A-law, 8 kHz, 1 channel"
