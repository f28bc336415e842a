"""`banken why` and `banken trace`: what led to something, and all that belongs together."""

from pathlib import Path

import click

from ..analysis.causes import LOOKED_AT, Why, consequences, why_camera
from ..analysis.causes import why as why_event
from ..analysis.finding import Step, step_of
from ..analysis.replay import state_at
from ..domain.describe import seconds
from ..domain.ids import CameraId
from ..journal.reader import Query, Reader
from .opening import JOURNAL, JSON, SALVAGE, open_reader, require_camera, seq_of, spans
from .words import COLOURS, At, Moment, clean, fail, local, say, say_json

SHOWN = 12
"""Steps that are printed of a long chain, without --all; and what it led to."""
_NUMBER = Moment()


@click.command()
@click.argument("what", metavar="SEQ|CAMERA")
@JOURNAL
@click.option("--at", type=Moment(), metavar="TIME|SEQ", help="For a camera: why it was so then [default: now].")
@click.option("--all", "everything", is_flag=True, help="Every step of a long chain.")
@JSON
@SALVAGE
def why(what: str, journal: Path, at: At | None, everything: bool, as_json: bool, salvage: bool) -> None:
    """Say what led to event SEQ, or to what CAMERA is doing: from the first cause on, and what came of it."""
    with open_reader(journal, salvage) as reader:
        if what.lstrip("#").isdecimal():
            if at is not None:
                fail("--at is for a camera; an event happened when it did")
            place = _NUMBER.convert(what, None, None)
            found = why_event(reader, place.seq or 0)
            if found is None:
                fail(f"there is no event #{what.lstrip('#')}; {spans(reader)}")
            camera = None
        else:
            camera = require_camera(reader, what)
            seq = seq_of(reader, at)
            found = why_camera(reader, camera, seq)
            if found is None:
                gone = camera not in state_at(reader, seq).cameras
                how = "is not configured" if gone else "is as it was before the journal begins"
                fail(f"{what} {how} at event #{seq}")
        led_to = tuple(step_of(recorded) for recorded in consequences(reader, found.seq, SHOWN + 1))
        if as_json:
            say_json({"why": found, "led_to": led_to[:SHOWN], "more": len(led_to) > SHOWN})
        else:
            _say(reader, found, led_to, camera, everything)


def _say(reader: Reader, found: Why, led_to: tuple[Step, ...], camera: CameraId | None, everything: bool) -> None:
    if found.cut is not None:
        say(f"(event {found.cut}, which came before, is not in the journal any more)")
    numbered = list(enumerate(found.steps, 1))
    if len(numbered) > SHOWN and not everything:
        _step(*numbered[0])
        say(click.style(f"     … {len(numbered) - SHOWN} steps between; --all shows them …", dim=True))
        numbered = numbered[1 - SHOWN :]
    for number, step in numbered:
        _step(number, step)
    if found.device is not None and found.taken_by:
        say(f"\nThe connections to {clean(found.device)} are taken by:")
        for holder in found.taken_by:
            say(f"  {clean(holder.camera)} ({holder.use}) since {local(holder.since_ns)}")
            if holder.by is not None:
                place = click.style(f"#{holder.by.seq}", dim=True)
                say(f"    {local(holder.by.wall_ns)}  {_text(holder.by)}  {place}")
    if led_to:
        say("\nIt led to:")
        begin_ns = found.steps[-1].wall_ns
        for step in led_to[:SHOWN]:
            say(f"  {local(step.wall_ns)}  {_later(step.wall_ns - begin_ns):>9}  {_text(step)}")
        if len(led_to) > SHOWN:
            say(f"  … and more: banken trace {found.steps[-1].correlation}")
    named = camera or found.steps[-1].camera
    if named is not None:
        say(f"\n{_now(reader, found.seq, named, asked=camera is not None)}")


def _step(number: int, step: Step) -> None:
    waited = "" if number == 1 else _later(int(step.after_s * 1e9))
    say(f"{number:>3}. {local(step.wall_ns)}  {waited:>9}  {_text(step)}  {click.style(f'#{step.seq}', dim=True)}")
    if number == 1 and step.principal != "system":
        say(f"{'':>40}asked by {clean(step.principal)}")
    for line in step.stderr:
        say(f"{'':>40}| {clean(line)}")


def _text(step: Step) -> str:
    return click.style(clean(step.text), fg=COLOURS.get(step.severity))


def _later(passed_ns: int) -> str:
    return f"+{seconds(max(0, passed_ns) / 1e9)}"


def _now(reader: Reader, seq: int, camera: CameraId, *, asked: bool) -> str:
    last = reader.bounds()[1]
    state = state_at(reader, last)
    known = state.cameras.get(camera)
    if known is None:
        return f"By now {camera} is not configured any more."
    now = why_camera(reader, camera, last)
    if now is not None and now.seq == seq:
        return f"That is still so: {camera} is {known.phase.value} since {local(known.since_ns)}."
    text = f": {clean(known.reason.text)}" if known.reason is not None else ""
    when = "By now" if asked else "At the end of the journal"
    return f"{when} {camera} is {known.phase.value} since {local(known.since_ns)}{text}."


@click.command()
@click.argument("correlation")
@JOURNAL
@JSON
@SALVAGE
def trace(correlation: str, journal: Path, as_json: bool, salvage: bool) -> None:
    """Print all events of a correlation as a tree. #SEQ takes the correlation of that event."""
    with open_reader(journal, salvage) as reader:
        if correlation.startswith("#") and correlation[1:].isdecimal():
            found = why_event(reader, min(int(correlation[1:19]), 2**62))
            if found is None:
                fail(f"there is no event {correlation}; {spans(reader)}")
            correlation = found.steps[-1].correlation
        rows = reader.page(Query(correlation=correlation), LOOKED_AT)
        if not rows:
            fail(f"no event has the correlation {correlation!r}; `banken events --json` shows those there are")
        known = {recorded.seq: recorded for recorded in rows}
        steps = [step_of(recorded, known.get(recorded.cause or 0)) for recorded in rows]
        if as_json:
            say_json(steps)
            return
        depth: dict[int, int] = {}
        below: dict[int, list[Step]] = {}
        roots: list[Step] = []
        for step in steps:
            inside = step.cause in depth
            depth[step.seq] = min(depth[step.cause] + 1, 20) if inside and step.cause is not None else 0
            (below.setdefault(step.cause or 0, []) if inside else roots).append(step)
        line = roots[::-1]
        while line:
            step = line.pop()
            begin = f"{local(step.wall_ns)}  {_later(int(step.after_s * 1e9)) if step.cause in depth else '':>9}  "
            from_outside = f" (from {step.cause})" if step.cause is not None and step.cause not in depth else ""
            mark = "└ " if depth[step.seq] else ""
            number = click.style(f"#{step.seq}{from_outside}", dim=True)
            say(f"{begin}{'  ' * max(0, depth[step.seq] - 1)}{mark}{_text(step)}  {number}")
            line += below.get(step.seq, [])[::-1]
