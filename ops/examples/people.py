"""An example of a detector: people, by the HOG detector of OpenCV. banken does not need it.

Install OpenCV from Debian with `apt install python3-opencv`, and add to the configuration:

    detectors:
      people:
        command: [/usr/bin/python3, /opt/banken/ops/examples/people.py]
        fps: 1

banken writes a picture to the standard input: a JSON line, four bytes with the length of the JPEG, and the JPEG. This
program prints a JSON line for each person. `ops/docs/detectors.md` describes both. HOG finds people who stand upright
and are at least 96 pixels high; a neural network finds far more.
"""

import json
import math
import struct
import sys

import cv2
import numpy

WIDTH = 640
"""Larger pictures are scaled down to this width: HOG takes 0.1 s for each of them then."""
LEAST = 0.5
"""Detections with a lower score are not printed."""


def main() -> None:
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    source = sys.stdin.buffer
    while line := source.readline():
        head = json.loads(line)
        (size,) = struct.unpack("!I", source.read(4))
        for box, score in people(hog, source.read(size)):
            seen = {"camera": head["camera"], "at": head["at"], "label": "person", "score": score, "box": box}
            print(json.dumps(seen), flush=True)


def people(hog: "cv2.HOGDescriptor", jpeg: bytes) -> "list[tuple[list[float], float]]":
    """Return box and score of each person. A box is left, top, width and height, as shares of the picture."""
    picture = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return []
    height, width = picture.shape[:2]
    if width > WIDTH:
        picture = cv2.resize(picture, (WIDTH, round(height * WIDTH / width)))
        height, width = picture.shape[:2]
    rects, weights = hog.detectMultiScale(picture, winStride=(8, 8), padding=(8, 8), scale=1.05)
    found = []
    for (x, y, w, h), weight in zip(rects, weights, strict=True):
        score = round(1 / (1 + math.exp(-2 * float(numpy.ravel(weight)[0]))), 3)
        left, top = max(0.0, x / width), max(0.0, y / height)
        right, bottom = min(1.0, (x + w) / width), min(1.0, (y + h) / height)
        if score >= LEAST and right > left and bottom > top:
            found.append(([round(value, 4) for value in (left, top, right - left, bottom - top)], score))
    return found


if __name__ == "__main__":
    main()
