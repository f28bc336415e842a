"""The incident in sentences: the first paragraphs of the report. Pure; times are in UTC, and each sentence says so.

Numbers of processes and digests of children are left to the tables below it.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ...base.times import iso
from ...domain.ids import CameraId
from ...domain.words import plural, seconds
from ..troubles import Outage, Trouble

NAMED = 5
"""Troubles that have a paragraph; the others are counted."""
CAMERAS = 6
"""Cameras of one trouble that are named."""
GAP_S = 1.0
"""Less time without a daemon is not worth a sentence."""


def paragraphs(
    troubles: Sequence[Trouble], since_ns: int, until_ns: int, camera: CameraId | None, ran_s: float
) -> list[str]:
    """A paragraph for each trouble, the worst first, of a stretch between two times.

    `ran_s`: how much of it a daemon ran, and was not asked to stop. Nothing is known of the rest.
    """
    unknown_s = (until_ns - since_ns) / 1e9 - ran_s
    gap = [f"No daemon is known to have run for {seconds(unknown_s)} of this stretch."] if unknown_s >= GAP_S else []
    if not troubles:
        who = camera or "no camera that was wanted"
        lost = "did not lose its picture" if camera else "lost its picture"
        return [f"From {_span(since_ns, until_ns)} {who} {lost}, and nothing else went wrong.", *gap]
    found = [_trouble(trouble, until_ns) for trouble in troubles[:NAMED]]
    if len(troubles) > NAMED:
        found.append(f"{plural(len(troubles) - NAMED, 'lesser trouble')} of this stretch can be found in the tables.")
    return [*found, *gap]


def _trouble(trouble: Trouble, until_ns: int) -> str:
    day = _day(trouble.outages[0].begin_ns if trouble.outages else trouble.begin_ns)
    if trouble.kind == "down":
        return f"Nothing is known between {_span(trouble.begin_ns, trouble.end_ns, joint=' and ')}: {trouble.text}."
    if not trouble.outages:
        return " ".join([_plain(trouble), _over(trouble, until_ns, day)]).strip()
    consequences = _consequences(trouble.outages)
    parts = [_outages(trouble.outages, day), _cause(trouble, day), *consequences, _over(trouble, until_ns, day)]
    return " ".join(part for part in parts if part)


def _plain(trouble: Trouble) -> str:
    if trouble.kind == "stuck":
        return f"{_processes(trouble, '')}."
    return f"{_at(trouble.begin_ns)}: {trouble.text}."


def _outages(outages: Sequence[Outage], day: str) -> str:
    """Which cameras from when to when; those with the same times together. The first time has its day."""
    together: dict[Outage, list[str]] = {}
    for outage in outages[:CAMERAS]:
        losses = 0 if outage.gone_ns else outage.losses
        alike = replace(outage, camera=CameraId(""), viewers=0, refused=0, missed=0, losses=losses)
        together.setdefault(alike, []).append(outage.camera)
    said: list[str] = []
    before = ""
    for one, cameras in together.items():
        times = one.losses if one.losses and not one.gone_ns else one.times
        passive = f" {'were' if cameras[1:] else 'was'} {'lost' if one.losses else 'missed by the patrol'}"
        verb = " gave no picture" if one.gone_ns or one.end_ns is None else passive
        verb += f" {times} times" if times > 1 else ""
        lasted = (
            f" ({seconds(one.gone_ns / 1e9)}{' in all' if times > 1 else ''})" if one.end_ns and one.gone_ns else ""
        )
        begin = "from before" if one.before else "from"
        span = f"{begin} {_span(one.begin_ns, one.end_ns, day if said else '')}"
        if one.begin_ns == one.end_ns:
            span = f"at {_at(one.begin_ns, day if said else '')}"
        said.append(f"{_of(cameras)}{verb if verb != before else ''} {span}{'' if one.before else lasted}")
        before = verb
    if len(outages) > CAMERAS:
        said.append(plural(len(outages) - CAMERAS, "more camera"))
    return f"{'; '.join(said)}."


def _cause(trouble: Trouble, day: str) -> str:
    if not trouble.stuck and not trouble.text:
        return "No event says why."
    return f"The first cause: {_processes(trouble, day) if trouble.stuck else trouble.text}."


def _processes(trouble: Trouble, day: str) -> str:
    count = len(trouble.stuck)
    how = "that nobody supervised" if all(stuck.stray for stuck in trouble.stuck) else "that could not be killed"
    first, held = trouble.stuck[0], f"held {plural(count, 'connection')} to {trouble.device}"
    if count == 1:
        own = f"{how} {held}" if trouble.device else how
        return f"1 process of {first.owner} {own} from {_span(first.begin_ns, first.end_ns, day)}"
    each = [f"one of {stuck.owner} from {_span(stuck.begin_ns, stuck.end_ns, day)}" for stuck in trouble.stuck]
    if count > CAMERAS:
        each[CAMERAS:] = [f"{count - CAMERAS} more"]
    return f"{plural(count, 'process', 'processes')} {f'{how} {held}' if trouble.device else how}: {_of(each)}"


def _consequences(outages: Iterable[Outage]) -> list[str]:
    waited = [(outage.viewers, outage.camera) for outage in outages if outage.viewers]
    refused = [(outage.refused, outage.camera) for outage in outages if outage.refused]
    said = []
    if len(waited) == 1:
        said.append(f"{plural(waited[0][0], 'viewer was', 'viewers were')} without the picture of {waited[0][1]}.")
    elif waited:
        said.append(f"Viewers without a picture: {_of([f'{count} of {camera}' for count, camera in waited])}.")
    if refused:
        said.append(f"Requests refused: {_of([f'{count} for {camera}' for count, camera in refused])}.")
    missed = [f"{outage.camera} {plural(outage.missed, 'time')}" for outage in outages if outage.missed]
    if missed:
        said.append(f"In this stretch the patrol got no picture of {_of(missed)}.")
    return said


def _over(trouble: Trouble, until_ns: int, day: str) -> str:
    if trouble.end_ns is None:
        return f"It was not over at the end of this report, {_at(until_ns, day)}."
    if any(outage.stopped and outage.end_ns == trouble.end_ns for outage in trouble.outages):
        return f"The daemon stopped before it was over, at {_at(trouble.end_ns, day)}."
    return "" if trouble.end_ns == trouble.begin_ns else f"It was over at {_at(trouble.end_ns, day)}."


def _of(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _day(wall_ns: int) -> str:
    return iso(wall_ns)[:10]


def _at(wall_ns: int, day: str = "") -> str:
    """A time with its zone; with its day, unless that is `day`."""
    text = iso(wall_ns)
    return f"{'' if text[:10] == day else f'{text[:10]} '}{text[11:19]} UTC"


def _span(begin_ns: int, end_ns: int | None, day: str = "", joint: str = " to ") -> str:
    """`2026-01-05 06:10:19 to 08:30:17 UTC`: with its day, unless that is `day`."""
    if end_ns is None:
        return f"{_at(begin_ns, day)} on"
    return f"{_at(begin_ns, day)[:-4]}{joint}{_at(end_ns, _day(begin_ns))}"
