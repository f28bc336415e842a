"""The audit of an archive against its journal: every file plays, and the journal says where video is missing, and why.

Rules of this file:
- A stretch is judged by its recording's id, never by the time of day: the clock may have been set.
- Video that retention has removed is missing where an event says so: files with events are kept longer.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import list_files
from actors.recorder.fragment import FragmentPlace
from actors.recorder.recording_file import Walk, walk
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId, RecordingId

NEAR_NS = 50_000_000
"""By this, two times may differ that are the same moment: a recording's clock follows the system's slowly."""


def walked(path: Path) -> Walk:
    """The content of a file that can be believed."""
    with open(path, "rb") as file:
        return walk(file)


def ended_ns(place: FragmentPlace) -> int:
    """When a fragment ends."""
    return place.wall_ns + place.duration * 10**9 // CLOCK_RATE


@attrs.define
class Told:
    """A stretch of video as the journal tells it. Times are nanoseconds since 1970; 0 if the journal does not say."""

    camera: CameraId
    recording: RecordingId
    began_ns: int
    """0 for the first one after a start."""
    last_ns: int = 0
    """When the gap behind it begins."""
    is_resumed: bool = False
    """Whether another stretch follows the gap."""
    ended_by: str = ""
    """The code of the gap; `stopped`; or empty if it goes on."""
    cause: int | None = None
    seq: int = 0
    """Of the event that ends it."""

    def forget_end(self) -> None:
        """The beginning of the gap behind it is not judged."""
        self.last_ns, self.is_resumed = 0, False


def told(rows: Iterable[e.Recorded]) -> tuple[list[Told], list[str]]:
    """The stretches in a journal, and the faults of their order."""
    found, faults, now = list[Told](), list[str](), dict[CameraId, Told]()
    for row in rows:
        match row.event:
            case e.RecordingStarted(camera, recording):
                if camera in now and now[camera].ended_by != "stopped":
                    faults.append(f"event {row.seq} starts the recording of {camera}, which has not stopped")
                found.append(Told(camera, recording, 0))
                now[camera] = found[-1]
            case e.RecordingInterrupted(camera, reason, last_ns):
                each = now[camera]
                each.last_ns, each.ended_by, each.cause, each.seq = last_ns, reason.code, row.cause, row.seq
            case e.RecordingResumed(camera, recording, _, last_ns, began_ns):
                if now[camera].ended_by in ("", "stopped"):
                    faults.append(f"event {row.seq} resumes the recording of {camera}, which has no gap")
                now[camera].last_ns, now[camera].is_resumed = last_ns or now[camera].last_ns, True
                found.append(Told(camera, recording, began_ns))
                now[camera] = found[-1]
            case e.RecordingStopped(camera):
                now[camera].ended_by = now[camera].ended_by or "stopped"
                now[camera] = Told(camera, RecordingId(""), 0, ended_by="stopped")
            case _:
                pass
    return found, faults


def unplayable(folder: Path) -> list[str]:
    """The files that do not play as a whole, or that nobody has sealed."""
    faults = []
    for path in list_files(folder):
        each = walked(folder / path)
        if each.about is None or not each.fragments or not each.is_sealed:
            faults.append(f"{path}: {each.damage or 'it is not sealed'}")
    return faults


def footage_of(folder: Path) -> dict[str, list[FragmentPlace]]:
    """The fragments of each recording, in order."""
    found = defaultdict[str, list[FragmentPlace]](list)
    for path in list_files(folder):
        for fragment in walked(folder / path).fragments:
            found[fragment.place.recording].append(fragment.place)
    return {recording: sorted(places, key=lambda place: place.number) for recording, places in found.items()}


def audit(rows: Sequence[e.Recorded], folder: Path, *, hung: bool = False, set_back: bool = False) -> list[str]:
    """Return what the journal says wrongly, or does not say, about the video of an archive.

    `hung`: a call has hung so long that the archive has abandoned it: more may be there than the journal says.
    `set_back`: the clock was set back. Then the newest file is not the last one, and a later time is not a later one.
    """
    stretches, faults = told(rows)
    footage = footage_of(folder)
    expired = defaultdict[CameraId, list[e.RecordingsExpired]](list)
    for row in rows:
        if isinstance(row.event, e.RecordingsExpired):
            expired[row.event.camera].append(row.event)
    _shorten(stretches, footage, set_back)
    failed = max((row.seq for row in rows if isinstance(row.event, e.ArchiveFailed)), default=0)
    for each in stretches:
        if not each.is_resumed and failed > each.seq:  # what waited for the disk was lost; the end of the gap says so
            each.last_ns = 0
        if set_back and each.ended_by == "abandoned":
            each.forget_end()
        about = f"{each.camera}, recording {each.recording}, ended by {each.ended_by or 'nothing'} in event {each.seq}"
        faults += [f"{about}: {text}" for text in _differences(each, footage, expired[each.camera], hung)]
        if each.ended_by not in ("", "stopped") and each.cause is None:
            faults.append(f"{about}: the gap has no cause")
    return faults


def _shorten(stretches: Sequence[Told], footage: Mapping[str, object], set_back: bool) -> None:
    """A gap that begins before its own stretch takes the end of the stretch before it, too."""
    later = dict[CameraId, Told]()
    for each in reversed(stretches):
        after = later.get(each.camera)
        if after is not None and after.last_ns and after.recording not in footage:
            if set_back:
                each.forget_end()
            else:
                each.last_ns = min(each.last_ns, after.last_ns)
        later[each.camera] = each


def _differences(
    each: Told, footage: Mapping[str, list[FragmentPlace]], expired: Sequence[e.RecordingsExpired], hung: bool
) -> Iterable[str]:
    places = footage.get(each.recording, [])
    if not places:
        nothing_was_kept = each.last_ns <= each.began_ns or not each.began_ns
        if not expired and each.ended_by != "stopped" and not (each.ended_by and nothing_was_kept):
            yield "it has no video"
        return
    for before, after in itertools.pairwise(places):
        follows = after.number == before.number + 1 and abs(after.wall_ns - ended_ns(before)) < NEAR_NS
        removed = any(event.began_ns < after.wall_ns and ended_ns(before) < event.ended_ns for event in expired)
        if not follows and not removed:  # files with events are kept longer than those between them
            yield f"fragment {after.number} does not follow fragment {before.number}"
    if places[0].number and not expired:
        yield f"it begins with fragment {places[0].number}"
    elif each.began_ns and not places[0].number and abs(each.began_ns - places[0].wall_ns) > NEAR_NS:
        yield f"it begins {(places[0].wall_ns - each.began_ns) / 1e9:.3f} s after the journal says"
    if each.is_resumed and not each.last_ns:
        yield "the journal does not say where the gap begins"
    if each.last_ns:
        late_s = (ended_ns(places[-1]) - each.last_ns) / 1e9
        is_expired = any(event.ended_ns > each.last_ns - NEAR_NS for event in expired)
        if (late_s < -NEAR_NS / 1e9 and not is_expired) or (late_s > NEAR_NS / 1e9 and not hung):
            yield f"its last fragment ends {late_s:.3f} s after the gap begins"
