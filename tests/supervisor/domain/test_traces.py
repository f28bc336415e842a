"""Pictures and refusals are counted for the audit: bounded, at a bounded rate, and none is forgotten."""

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain import traces as module
from supervisor.domain.ids import CameraId
from supervisor.domain.traces import AT_ONCE, PICTURES_EVERY_S, Traces
from tests.kit.domain import GATE, YARD, running

ANNA, BEN, ADDRESS = "user:anna/0123456789abcdef", "user:ben/0123456789abcdef", "192.0.2.10"


def pictures(reports: list[tuple[str, c.Command]]) -> list[c.ReportPictures]:
    return [command for _, command in reports if isinstance(command, c.ReportPictures)]


def test_pictures_of_one_client_and_camera_have_one_event_a_minute() -> None:
    """The first is reported at once; those of the next minute together."""
    traces = Traces()
    traces.picture(ANNA, ADDRESS, GATE, 1000, 10.0)
    assert traces.take(10.5) == [(ANNA, c.ReportPictures(GATE, ADDRESS, 1, 1000, 0.5))]
    for number in range(300):
        traces.picture(ANNA, ADDRESS, GATE, 1000, 11.0 + number / 10)
        assert traces.take(11.0 + number / 10) == []
    assert traces.take(10.5 + PICTURES_EVERY_S) == [(ANNA, c.ReportPictures(GATE, ADDRESS, 300, 300_000, 59.5))]
    assert traces.take(1000.0) == []


def test_each_principal_client_and_camera_is_counted_apart() -> None:
    """Nobody's pictures are another's."""
    traces = Traces()
    for who, camera in ((ANNA, GATE), (BEN, GATE), (ANNA, YARD)):
        traces.picture(who, ADDRESS, camera, 7, 0.0)
    found = traces.take(0.0)
    assert {(who, report.camera) for who, report in zip((w for w, _ in found), pictures(found), strict=True)} == {
        (ANNA, GATE), (BEN, GATE), (ANNA, YARD),
    }  # fmt: skip


def test_events_for_pictures_are_few_a_second() -> None:
    """The others come with the next calls."""
    traces = Traces()
    for number in range(50):
        traces.picture(f"user:u{number}/s", ADDRESS, GATE, 1, 0.0)
    assert [len(traces.take(float(second))) for second in range(4)] == [AT_ONCE, AT_ONCE, 10, 0]


def test_table_of_pictures_is_bounded_and_none_is_lost() -> None:
    """The row that makes room is reported first."""
    traces = Traces()
    for number in range(module.MOST + 5):
        traces.picture(f"user:u{number}/s", ADDRESS, GATE, 1, 0.0)
    assert len(traces._sent) == module.MOST
    assert sum(report.pictures for report in pictures(traces.take(0.0, everything=True))) == module.MOST + 5


def test_rows_that_make_room_have_few_events_a_second_too() -> None:
    """More clients than the table has rows cannot fill the journal."""
    traces = Traces()
    for number in range(module.MOST + 2 * AT_ONCE):
        traces.picture(f"user:u{number}/s", ADDRESS, GATE, 1, 0.0)
    assert [len(traces.take(float(second))) for second in range(4)] == [AT_ONCE] * 4


def test_stop_reports_what_was_counted() -> None:
    """Also within the minute."""
    traces = Traces()
    traces.picture(ANNA, ADDRESS, GATE, 1, 0.0)
    traces.take(0.0)
    traces.picture(ANNA, ADDRESS, GATE, 2, 1.0)
    assert [report.bytes for report in pictures(traces.take(2.0, everything=True))] == [2]


def test_refusals_have_one_event_a_second_and_the_others_are_counted() -> None:
    """All principals share the rate."""
    traces = Traces()
    for _ in range(5):
        traces.refused(ANNA, ADDRESS, "camera", GATE)
    assert traces.take(1.0) == [(ANNA, c.ReportAccessRefused("camera", ADDRESS, GATE, 4))]
    traces.refused(BEN, ADDRESS, "operate", None)
    assert traces.take(1.5) == []
    assert traces.take(2.0) == [(BEN, c.ReportAccessRefused("operate", ADDRESS, None, 0))]


def test_invented_name_of_a_camera_is_in_no_journal() -> None:
    """There is one event for it, as for a camera that exists."""
    story = running(GATE)
    (known,) = story.when(c.ReportAccessRefused("camera", ADDRESS, GATE))
    (invented,) = story.when(c.ReportAccessRefused("camera", ADDRESS, CameraId("my-password")))
    assert isinstance(known, e.AccessRefused)
    assert isinstance(invented, e.AccessRefused)
    assert (known.camera, invented.camera) == (GATE, None)
    assert GATE not in invented.sentence()


def test_pictures_of_a_camera_that_is_gone_have_no_event() -> None:
    """It was removed within the second."""
    assert running(GATE).when(c.ReportPictures(YARD, ADDRESS, 1, 1, 0.0)) == ()
