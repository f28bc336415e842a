"""The log in both forms: safe, without secrets, with the zone of its times and the fields of its records."""

import json
import logging
import time
from datetime import datetime

import pytest
import trio

from supervisor.base.context import in_empty_context
from supervisor.base.log import FIELDS, FORMS, JsonFormatter, LogFormatter, log_about
from tests.supervisor.base.test_printable import HOSTILE, unsafe_in


def record_of(text: str, *values: object, **extra: str) -> logging.LogRecord:
    """A record of the logger `banken`."""
    return logging.getLogger("banken").makeRecord("banken", logging.WARNING, "", 1, text, values, None, extra=extra)


def test_a_log_record_is_safe_and_cannot_pose_as_another() -> None:
    """Its further lines are indented: a record begins in the first column."""
    text = LogFormatter().format(record_of(f"said {HOSTILE}\n2026-01-05 ERROR all is well"))
    assert not unsafe_in(text, "\n")
    assert all(line.startswith("    ") for line in text.splitlines()[1:])


@pytest.mark.parametrize("form", FORMS)
def test_a_log_record_holds_no_secret_of_the_operators_list(form: str) -> None:
    """Wherever it comes from: the message, a field, or the text of an exception, also with quotes in it."""
    formatter = FORMS[form](secrets=['stream"key1'])
    assert "key1" not in formatter.format(record_of("opened rtmp://h/live/%s", 'stream"key1'))
    assert "***" in formatter.format(record_of("opened rtmp://h/live/%s", 'stream"key1'))
    assert "key1" not in formatter.format(record_of("x", camera='stream"key1'))
    try:
        raise ValueError('of stream"key1')
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "failed", (), (ValueError, error, error.__traceback__))
    assert "key1" not in formatter.format(record)
    assert "ValueError: of ***" in formatter.format(record)


def test_json_record_is_one_object_a_line_with_its_fields() -> None:
    """Time, level, logger and message always; the others where they are known."""
    line = JsonFormatter().format(record_of("%s\n%s", "one", HOSTILE, camera="front", lease="l1"))
    assert "\n" not in line and not unsafe_in(line)
    found = json.loads(line)
    assert found.pop("message") == f"one\n{HOSTILE}"
    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {"level": "warning", "logger": "banken", "camera": "front", "lease": "l1"}


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "Z"), ("Asia/Tokyo", "+09:00"), ("America/St_Johns", "-03:30")])
def test_time_of_a_record_has_its_zone(zone: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is read elsewhere is not off by hours."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        record = record_of("x")
        record.created = 1767600000.25
        text, data = LogFormatter().format(record), json.loads(JsonFormatter().format(record))
    time.tzset()
    assert text.partition(" WARNING")[0].endswith(f".250{shown}")
    assert data["time"] == text.partition(" WARNING")[0].replace(" ", "T")
    assert datetime.fromisoformat(data["time"]).timestamp() == record.created


async def test_records_around_a_task_are_about_the_same() -> None:
    """A task that is started within the block inherits it; one beside it does not, and nothing is left behind."""
    found: dict[str, dict[str, str]] = {}

    async def work(name: str) -> None:
        await trio.lowlevel.checkpoint()
        found[name] = json.loads(JsonFormatter().format(record_of("x", peer="own")))

    async with trio.open_nursery() as nursery:
        with log_about(camera="front", peer="p"):
            nursery.start_soon(work, "within")
        nursery.start_soon(work, "beside")
    assert {name: found["within"].get(name) for name in FIELDS[:2]} == {"camera": "front", "peer": "own"}
    assert {name: found["beside"].get(name) for name in FIELDS[:2]} == {"camera": None, "peer": "own"}


async def test_actor_in_an_empty_context_logs_what_its_starter_is_about() -> None:
    """A child process of a camera is about that camera."""

    async def actor() -> str:
        await trio.lowlevel.checkpoint()
        return JsonFormatter().format(record_of("x"))

    with log_about(camera="front"):
        line = await in_empty_context(actor)
    assert json.loads(line)["camera"] == "front"
    assert "camera" not in json.loads(await in_empty_context(actor))
