"""The formats of a service: what it is sent, and how its answer becomes detections."""

import json
from email.parser import BytesParser
from email.policy import HTTP

import pytest

from actors.detectors import formats
from actors.detectors.formats import FORMATS, MOST_DETECTIONS
from actors.detectors.lines import CAMERA, FIELD, NOT_JSON, Seen, WrongLine
from actors.detectors.pictures import DetectorPicture
from actors.media.h264 import H264
from actors.media.hub import Still
from tests.kit.detectors import jpeg, line
from tests.kit.domain import GATE

AT = "2026-11-30T12:00:00.000Z"
STILL = Still(H264, (), 1_796_040_000_000_000_000, 0, 1)
BOX = {"x1": 32, "y1": 18, "x2": 160, "y2": 90, "label": "person", "conf": 0.8}
ANSWER = {
    "camera_id": GATE, "captured_at": AT, "analyzed": True, "detected": True, "primary_event": "intrusion",
    "tags": ["person", "night"], "confidence": 0.7, "severity": 3, "count_hint": 1, "bboxes": [BOX], "more": {},
}  # fmt: skip


def picture() -> DetectorPicture:
    return DetectorPicture(GATE, STILL, AT, jpeg(), 320, 180)


def parts(kind: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """The parts of a form by name: content type and content, as another implementation of MIME reads them."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    found = {}
    for part in message.iter_parts():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(name)] = (part.get_content_type(), content)
    return found


def read(name: str, answer: object, *, raw: bytes | None = None) -> list[object]:
    """The detections of an answer; the code of the reason in the place of one."""
    found, _ = FORMATS[name].read(raw if raw is not None else json.dumps(answer).encode(), picture())
    return [each.code if isinstance(each, WrongLine) else (each.label, each.score, each.box) for each in found]


def test_banken_format_has_camera_time_and_both_pictures() -> None:
    """Without a previous picture, its part is absent."""
    sent = parts(*FORMATS["banken"].encode(picture(), b"\xff\xd8before", ""))
    assert sent == {
        "camera": ("text/plain", b"gate"), "at": ("text/plain", AT.encode()),
        "current": ("image/jpeg", jpeg()), "previous": ("image/jpeg", b"\xff\xd8before"),
    }  # fmt: skip
    assert set(parts(*FORMATS["banken"].encode(picture(), b"", ""))) == {"camera", "at", "current"}


def test_banken_answer_is_one_object_or_a_list_or_nothing() -> None:
    """A wrong entry of a list drops only itself."""
    assert read("banken", None, raw=line()) == [("person", 0.9, ())]
    assert read("banken", None, raw=b" ") == []
    assert read("banken", []) == []
    entries = b"[%b, %b, 7, %b]" % (line(box=[0, 0, 1, 1]), line("yard"), line(score=2))
    assert read("banken", None, raw=entries) == [("person", 0.9, (0, 0, 1, 1)), CAMERA, FIELD, FIELD]


def test_analyze_v1_request_has_its_fields() -> None:
    """Pictures, texts, and the hint as JSON: JSON stays as it is, and another text becomes a string."""
    sent = parts(*FORMATS["analyze-v1"].encode(picture(), b"", "the car park"))
    texts = {name: data.decode() for name, (_, data) in sent.items() if name != "infer_image"}
    assert texts == {
        "camera_id": "gate", "captured_at": AT, "schema_version": "1", "preset_id": "default", "preset_version": "1",
        "return_bboxes": "true", "enable_frame_diff": "false", "hints_json": '"the car park"',
    }  # fmt: skip
    assert sent["infer_image"] == ("image/jpeg", jpeg())
    again = parts(*FORMATS["analyze-v1"].encode(picture(), jpeg(), '{"zone": "north"}'))
    assert (again["enable_frame_diff"][1], again["prev_image"][1]) == (b"true", jpeg())
    assert again["hints_json"][1] == b'{"zone": "north"}'
    assert "hints_json" not in parts(*FORMATS["analyze-v1"].encode(picture(), b"", ""))


def test_analyze_v1_boxes_become_detections() -> None:
    """In pixels or in shares; corners in any order; a box without label or confidence has those of the answer."""
    assert read("analyze-v1", ANSWER) == [("person", 0.8, (0.1, 0.1, 0.4, 0.4))]
    shares = {"x1": 0.5, "y1": 0.5, "x2": 0.1, "y2": 0.1}
    assert read("analyze-v1", {**ANSWER, "bboxes": [shares]}) == [("intrusion", 0.7, (0.1, 0.1, 0.4, 0.4))]
    outside = {**BOX, "x1": -50, "x2": 9999}
    assert read("analyze-v1", {**ANSWER, "bboxes": [outside]}) == [("person", 0.8, (0.0, 0.1, 1.0, 0.4))]
    assert read("analyze-v1", {**ANSWER, "bboxes": []}) == [("intrusion", 0.7, ())]
    assert read("analyze-v1", {**ANSWER, "bboxes": [], "primary_event": None}) == [("person", 0.7, ())]
    assert read("analyze-v1", {**ANSWER, "detected": False}) == []
    assert read("analyze-v1", {}) == []


def test_analyze_v1_answer_without_label_or_confidence_is_wrong() -> None:
    """As is one for another camera."""
    assert read("analyze-v1", {**ANSWER, "bboxes": [], "primary_event": None, "tags": []}) == [FIELD]
    assert read("analyze-v1", {**ANSWER, "bboxes": [], "confidence": None}) == [FIELD]
    with pytest.raises(WrongLine) as raised:
        read("analyze-v1", {**ANSWER, "camera_id": "yard"})
    assert raised.value.code == CAMERA


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"<html>", NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b'{"bboxes": ' * 5000, NOT_JSON),
        (b"\xff\xfe", NOT_JSON),
        (b'{"camera": 1, "camera_id": 1}', FIELD),
        (b'{"confidence": 1e999}', FIELD),
    ],
)
def test_answer_without_a_detection_has_a_reason(name: str, raw: bytes, code: str) -> None:
    """Each part of an answer is a detection or is counted."""
    assert set(codes(name, raw)) <= {code, FIELD}, "a parser may find a wrong type before the end of the text"


def codes(name: str, raw: bytes) -> list[str]:
    """The reasons for which an answer has no detection."""
    try:
        found, _ = FORMATS[name].read(raw, picture())
    except WrongLine as error:
        return [error.code]
    assert found
    assert not [each for each in found if isinstance(each, Seen)]
    return [each.code for each in found if isinstance(each, WrongLine)]


@pytest.mark.parametrize(
    ("name", "raw", "number"),
    [
        ("banken", b"[" + b"{}," * 79_999 + b"{}]", 80_000),
        ("analyze-v1", json.dumps({**ANSWER, "bboxes": [{**BOX, "label": "\n"}] * 2000}).encode(), 2000),
    ],
)
def test_detections_beyond_the_limit_are_counted_and_not_looked_at(
    name: str, raw: bytes, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 KiB of them would block the loop for two seconds."""
    looked_at = 0

    def look(*_: object) -> WrongLine:
        nonlocal looked_at
        looked_at += 1
        return WrongLine(FIELD, "wrong")

    for inner in ("_read_one", "_boxed"):
        monkeypatch.setattr(formats, inner, look)
    found, left_out = FORMATS[name].read(raw, picture())
    assert (len(found), looked_at, left_out) == (MOST_DETECTIONS, MOST_DETECTIONS, number - MOST_DETECTIONS)
