"""The example of a detector keeps to the protocol: with stand-ins for its libraries, and with Debian's where it is."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from actors.detectors.lines import read_line
from tests.kit.detectors import jpeg

PROGRAM = Path(__file__).parents[2] / "ops" / "examples" / "people.py"
DEBIAN = "/usr/bin/python3"
CV2 = """
import types
IMREAD_COLOR = 1
def imdecode(data, how):
    return types.SimpleNamespace(shape=(720, 1280, 3)) if data[:2] == b"\\xff\\xd8" else None
def resize(picture, size):
    return types.SimpleNamespace(shape=(size[1], size[0], 3))
def HOGDescriptor_getDefaultPeopleDetector():
    return []
class HOGDescriptor:
    def setSVMDetector(self, detector):
        pass
    def detectMultiScale(self, picture, winStride, padding, scale):
        assert picture.shape == (360, 640, 3)
        return [(64, 36, 320, 180), (-20, -20, 100, 100), (0, 0, 10, 10)], [1.2, 0.4, -3.0]
"""
NUMPY = "uint8 = None\ndef frombuffer(data, kind): return data\ndef ravel(value): return [value]\n"
HEAD = {"camera": "yard", "at": "2026-01-31T03:10:00.000Z", "w": 1280, "h": 720}


def written(picture: bytes) -> bytes:
    """A picture as banken writes it."""
    return json.dumps(HEAD).encode() + b"\n" + struct.pack("!I", len(picture)) + picture


def run(interpreter: str, data: bytes, folder: str = "") -> list[bytes]:
    """The lines of the program for this input. It has to end with its input."""
    environ = {"PATH": os.environ["PATH"], **({"PYTHONPATH": folder} if folder else {})}
    done = subprocess.run(
        [interpreter, str(PROGRAM)], input=data, env=environ, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.splitlines()


def test_example_prints_a_detection_for_each_person(tmp_path: Path) -> None:
    """Within the picture, with a score; weak ones are left out, and what is not a picture is skipped."""
    (tmp_path / "cv2.py").write_text(CV2)
    (tmp_path / "numpy.py").write_text(NUMPY)
    lines = run(sys.executable, written(jpeg()) + written(b"not a picture") + written(jpeg()), str(tmp_path))
    seen = [read_line(line) for line in lines]
    assert len(seen) == 4, "two for each picture"
    assert {(each.camera, each.at, each.label) for each in seen} == {("yard", HEAD["at"], "person")}
    assert [(each.box, each.score) for each in seen[:2]] == [
        ((0.1, 0.1, 0.5, 0.5), 0.917),
        ((0.0, 0.0, 0.125, 0.2222), 0.69),
    ]


def test_example_runs_with_opencv_of_debian() -> None:
    """A grey picture has no person, and bytes that are not a JPEG end nothing."""
    found = subprocess.run([DEBIAN, "-c", "import cv2, numpy"], capture_output=True, timeout=120, check=False)
    if found.returncode != 0:
        pytest.skip("python3-opencv is not installed")
    code = (
        "import cv2, numpy, sys; sys.stdout.buffer.write(cv2.imencode('.jpg', numpy.full((360, 640, 3), 90, 'u1'))[1])"
    )
    grey = subprocess.run([DEBIAN, "-c", code], capture_output=True, timeout=120, check=True).stdout
    assert run(DEBIAN, written(grey) + written(b"not a picture")) == []
