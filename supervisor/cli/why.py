"""`banken why` and `banken trace`: what led to something, and all that belongs together."""

from pathlib import Path

import click

from ..domain.ids import CameraId
from ..domain.words import plural, seconds
from ..forensics.causes import LOOKED_AT, consequences, why_camera
from ..forensics.causes import why as why_event
from ..forensics.finding import step_of
from ..forensics.renames import renamed
from ..forensics.replay import state_at
from ..journal.reader import Reader
from ..ports.past import Began, Step, Why
from ..ports.questions import At, Query
from .journal_argument import JOURNAL, JSON, SALVAGE, open_reader, place_of, require_camera, require_order, spans
from .terminal import COLOURS, UTC_OPTION, TimeOrSeq, clean, fail, local, say, say_json

SHOWN = 12
"""Steps that are printed of a long chain, without --all; and what it led to."""
_NUMBER = TimeOrSeq()


@click.command()
@click.argument("what", metavar="SEQ|CAMERA")
@JOURNAL
@click.option("--at", type=TimeOrSeq(), metavar="TIME|SEQ", help="The instant, for a camera [default: now].")
@click.option("--all", "everything", is_flag=True, help="Print every step of a long chain.")
@JSON
@UTC_OPTION
@SALVAGE
def why(what: str, journal: Path, at: At | None, everything: bool, as_json: bool, salvage: bool) -> None:
    """Print the chain of causes of event SEQ, or of the state of CAMERA, and the consequences."""
    require_order(what, journal, "SEQ|CAMERA")
    with open_reader(journal, salvage) as reader:
        if what.lstrip("#").isdecimal():
            if at is not None:
                fail("--at is for a camera; an event happened when it did")
            place = _NUMBER.convert(what, None, None)
            found = why_event(reader, place.seq or 0)
            if found is None:
                fail(f"there is no event #{what.lstrip('#')}; {spans(reader)}")
            camera, then = None, ""
        else:
            camera = require_camera(reader, what)
            seq, wall_ns = place_of(reader, at)
            then = "now" if at is None else f"at {local(wall_ns)}"
            found = why_camera(reader, camera, seq)
            gone = renamed(reader, camera, seq + 1) if found is None else None
            if gone is not None and gone.removed:
                found = why_event(reader, gone.seq)
            if found is None:
                unknown = camera not in state_at(reader, seq).cameras
                how = "is not configured" if unknown else "is as it was before the journal begins"
                fail(f"{what} {how} at event #{seq}")
        led_to = tuple(step_of(recorded) for recorded in consequences(reader, found.seq, SHOWN + 1))
        if as_json:
            say_json({"why": found, "led_to": led_to[:SHOWN], "more": len(led_to) > SHOWN})
        else:
            _say(reader, found, led_to, camera, then, everything)


def _say_first(camera: CameraId, began: Began, then: str, everything: bool) -> None:
    """The first failure comes first: those after it are its repetitions. `then`: when it is what comes below."""
    after = began.after
    if after is None:
        say(f"{camera} was not live as far back as the journal goes. The first failure in it:")
    elif after.type == "CameraLive":
        say(f"{camera} last became live at {local(after.wall_ns)}. The first failure after that:")
    else:
        say(f"{camera} has never been live since it was configured at {local(after.wall_ns)}. The first failure:")
    _steps(began.steps, everything)
    say(f"\nIts state {then}:")


def _steps(steps: tuple[Step, ...], everything: bool) -> None:
    numbered = list(enumerate(steps, 1))
    if len(numbered) > SHOWN and not everything:
        _step(*numbered[0])
        say(click.style(f"     … {plural(len(numbered) - SHOWN, 'step')} between; --all shows them …", dim=True))
        numbered = numbered[1 - SHOWN :]
    for number, step in numbered:
        _step(number, step)


def _say(
    reader: Reader, found: Why, led_to: tuple[Step, ...], camera: CameraId | None, then: str, everything: bool
) -> None:
    first = found.began.steps[-1].seq if found.began else None
    if found.began and camera and not (len(found.steps) <= SHOWN and first in [step.seq for step in found.steps]):
        _say_first(camera, found.began, then, everything)
    if found.cut is not None:
        say(f"(event {found.cut}, which came before, is not in the journal any more)")
    _steps(found.steps, everything)
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
    waited, when = "" if number == 1 else _later(int(step.after_s * 1e9)), local(step.wall_ns)
    margin = " " * (len(when) + 18)
    say(f"{number:>3}. {when}  {waited:>9}  {_text(step)}  {click.style(f'#{step.seq}', dim=True)}")
    if number == 1 and step.principal != "system":
        say(f"{margin}asked by {clean(step.principal)}")
    for line in step.stderr:
        say(f"{margin}| {clean(line)}")


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
@UTC_OPTION
@SALVAGE
def trace(correlation: str, journal: Path, as_json: bool, salvage: bool) -> None:
    """Print all events of a correlation as a tree. #SEQ takes the correlation of that event."""
    require_order(correlation, journal, "CORRELATION")
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
