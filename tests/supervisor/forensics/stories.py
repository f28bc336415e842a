"""Stories with causes: what the kernel would have written."""

from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import ChildId, DeviceId, RunId
from supervisor.domain.values import DeviceSettings, Fault, Limits, Reason
from supervisor.journal.reader import Reader
from tests.kit.domain import GATE, NODE, PICTURE, SECOND, YARD, Story, child, running, settings
from tests.kit.journals import write_journal

BEGIN_NS = Story().now_ns
REFUSED = Reason("unreachable", "connection refused", Fault.TEMPORARY)
STDERR = ("opening the camera", "connection refused")


def at(seconds: float) -> int:
    return BEGIN_NS + int(seconds * SECOND)


def of_run(story: Story, run: str, begin: int) -> None:
    """The events from `begin` on are of this run, as the kernel has it."""
    story.recorded[begin:] = [replace(recorded, run=RunId(run)) for recorded in story.recorded[begin:]]


def night() -> list[Recorded]:
    """Two cameras of one device for one: gate live at 2 s, lost at 10 s, live at 14 s, cut off at 20 s; again at 30 s.

    Yard waits for its connection all the time.
    """
    box = DeviceId("box")
    wanted = (settings(GATE, device="box"), settings(YARD, device="box"))
    configure = c.Configure("test", wanted, Limits(), (DeviceSettings(box, 1),))
    story = Story().given(c.StartRun(RunId("run-1"), NODE, "0", 1), configure)
    story.after(1).given(c.TakeSlot(GATE), c.TakeSlot(YARD), c.ConnectCamera(GATE), child())
    story.given(c.ReportChildStarted(ChildId("child-1"), 7, 70))
    story.after(1).given(c.ReportLive(GATE, PICTURE))
    story.after(8)
    ended = c.ReportChildEnded(ChildId("child-1"), 1, None, REFUSED, STDERR)
    story.given(ended, c.ReportLoss(GATE, REFUSED, 0.5))
    story.after(3).given(c.ConnectCamera(GATE), child("child-2"))
    story.after(1).given(c.ReportLive(GATE, PICTURE))
    story.after(6).given(c.RaiseAlert("children/gate", "too many"))
    cut = len(story.recorded)
    story.after(10).given(c.StartRun(RunId("run-2"), NODE, "0", 2), c.TakeSlot(GATE), c.ConnectCamera(GATE))
    story.after(5).given(c.ReportLive(GATE, PICTURE))
    of_run(story, "run-2", cut)
    return story.recorded


def closing() -> tuple[list[Recorded], list[Recorded]]:
    """`night`, with the causes that the kernel gives to the events at the start of run-2; and these, the start last."""
    rows = night()
    first, start = find(rows, "RunAbandoned").seq, find(rows, "RunStarted", 1).seq
    rows = caused(rows, dict.fromkeys(range(first + 1, start + 1), first))
    return rows, rows[first - 1 : start]


def find(rows: list[Recorded], kind: str, number: int = 0) -> Recorded:
    return [recorded for recorded in rows if recorded.type == kind][number]


def caused(rows: list[Recorded], links: dict[int, int], correlation: dict[int, str] | None = None) -> list[Recorded]:
    """The same with causes: `links` from an event to its cause."""
    named = correlation or {}
    return [
        replace(row, cause=links.get(row.seq, row.cause), correlation=named.get(row.seq, row.correlation))
        for row in rows
    ]


def night_with_causes() -> list[Recorded]:
    """From the connection of gate to the loss, and the attempt after it, each of which is a separate fault."""
    rows = night()
    links: dict[int, int] = {}
    trail = [
        find(rows, "CameraConnecting"), find(rows, "ChildStarting"), find(rows, "ChildStarted"),
        find(rows, "CameraLive"), find(rows, "ChildEnded"), find(rows, "CameraWaiting"),
        find(rows, "CameraConnecting", 1), find(rows, "CameraLive", 1),
    ]  # fmt: skip
    for before, after in pairwise(trail):
        links[after.seq] = before.seq
    fault = {row.seq: "fault" for row in trail[4:]}
    return caused(rows, links, fault)


def failing() -> Story:
    """Gate is refused three times: after 1, 11 and 21 s, each time in a separate attempt."""
    story = running(GATE).after(1)
    for _ in range(3):
        story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, REFUSED, 0.5)).after(10)
    return story


def reader_of(folder: Path, rows: list[Recorded]) -> Reader:
    return Reader(write_journal(folder, rows))
