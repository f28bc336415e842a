"""Requests to record: who may start and stop which camera, how long a request holds, and what is open for it."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import RecordingId
from supervisor.domain.recording_request import TIME_IS_OVER, wanted_recording
from supervisor.domain.values import Limits, Mode, RecordMode
from tests.kit.domain import GATE, NODE, RUN, SECOND, YARD, Story, settings

EVER, HOUR = c.RequestRecording(GATE, None, "kim"), c.RequestRecording(GATE, 3600.0, "kim")
STOP = c.WithdrawRecording(GATE, "kim")


def story(record: RecordMode = RecordMode.DEMAND) -> Story:
    camera = replace(settings(GATE, mode=Mode.ON_DEMAND), record=record)
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (camera,), Limits()))


@pytest.mark.parametrize("record", [RecordMode.DEMAND, RecordMode.EVENTS])
def test_person_starts_and_stops_a_recording(record: RecordMode) -> None:
    """The camera is wanted, and open, from the request to its end."""
    told = story(record)
    assert wanted_recording(told.state, GATE) is None
    assert told.when(EVER) == (e.RecordingRequested(GATE, "kim"),)
    assert wanted_recording(told.state, GATE) is RecordMode.DEMAND
    assert told.state.uses_of_cameras() == {GATE: "live"}
    (ended,) = told.when(STOP)
    assert isinstance(ended, e.RecordingRequestEnded)
    assert (ended.reason.code, ended.reason.text) == ("stopped", "stopped by kim")
    assert wanted_recording(told.state, GATE) is None
    assert told.when(STOP) == ()
    assert (GATE in told.state.uses_of_cameras()) is (record is RecordMode.EVENTS)


def test_second_request_prolongs_and_never_shortens() -> None:
    """A request without an end holds until a person ends it."""
    told = story().given(HOUR)
    until_ns = told.now_ns + 3600 * SECOND
    assert told.when(c.RequestRecording(GATE, 60.0, "lee")) == ()
    assert told.state.recording_requests[GATE].until_ns == until_ns
    since_ns = told.state.recording_requests[GATE].since_ns
    assert told.after(60).when(HOUR)[0] == e.RecordingRequested(GATE, "kim", 3600.0)
    assert told.state.recording_requests[GATE].until_ns == until_ns + 60 * SECOND
    assert len(told.when(EVER)) == 1
    assert told.when(HOUR) == ()
    assert told.state.recording_requests[GATE].until_ns is None
    assert told.state.recording_requests[GATE].since_ns == since_ns


def test_request_outlives_the_run() -> None:
    """Also a run that was cut off: the camera is recorded again after the start."""
    told = story().given(HOUR).after(60).given(c.StartRun(RUN, NODE, "0", 2))
    assert wanted_recording(told.state, GATE) is RecordMode.DEMAND
    assert told.when(c.EndRecordingRequest(GATE)) == (e.RecordingRequestEnded(GATE, TIME_IS_OVER),)
    assert told.when(c.EndRecordingRequest(GATE)) == ()


def test_camera_with_off_refuses_with_the_setting() -> None:
    """Nobody has to guess why."""
    refused = story(RecordMode.OFF).refuses(EVER)
    assert refused.refusal is Refusal.CONFLICT
    assert refused.reason == "gate is never recorded; set `record: demand` for it in the configuration"
    assert story(RecordMode.OFF).when(STOP) == ()


def test_camera_that_is_always_recorded_is_not_stopped() -> None:
    """A start changes nothing, since it is recorded already."""
    told = story(RecordMode.ALWAYS)
    assert told.when(HOUR) == ()
    assert told.refuses(STOP).refusal is Refusal.CONFLICT
    assert wanted_recording(told.state, GATE) is RecordMode.ALWAYS


def test_recording_for_a_detection_is_not_stopped() -> None:
    """It stops by itself, and the refusal says so."""
    told = story(RecordMode.EVENTS).given(c.BeginRecording(GATE, RecordingId("0" * 16), RecordMode.EVENTS))
    assert "because of a detection" in told.refuses(STOP).reason
    told.given(EVER)
    assert len(told.when(STOP)) == 1


def test_unknown_and_private_cameras_refuse() -> None:
    """As for a viewer."""
    told = story()
    assert told.refuses(c.RequestRecording(YARD, None, "kim")).refusal is Refusal.UNKNOWN
    told.given(c.SetPrivacy(GATE, True, "lee"))
    assert told.refuses(EVER).refusal is Refusal.PRIVATE


@pytest.mark.parametrize(
    ("record", "code"),
    [(RecordMode.OFF, "off"), (RecordMode.ALWAYS, "off"), (None, "removed"), (RecordMode.EVENTS, "")],
)
def test_settings_end_a_request(record: RecordMode | None, code: str) -> None:
    """In the same step, unless they still leave it to people."""
    told = story().given(EVER)
    cameras = () if record is None else (replace(settings(GATE, mode=Mode.ON_DEMAND), record=record),)
    found = told.when(c.Configure("test", (*cameras, settings(YARD)), Limits()))
    assert [event.reason.code for event in found if isinstance(event, e.RecordingRequestEnded)] == [
        *filter(None, [code])
    ]
    assert (GATE in told.state.recording_requests) is (not code)
