"""`banken footage clip`: recorded video as one file, without a daemon."""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import time_ns
from typing import BinaryIO

import attrs
import click

from actors.recorder.clip import Clip
from actors.recorder.footage import Footage
from actors.recorder.review import CHUNK, OpenFiles, open_files, read_clip

from ..base.times import iso
from ..cli.journal_argument import JSON, quietly
from ..cli.terminal import UTC_OPTION, TimeOrSeq, clean, exit_on_signals, fail, say, say_json, say_progress, zone
from ..domain.gaps import RecordingGap, gaps
from ..domain.words import plural, seconds, size
from ..journal.times import interval
from ..ports.footage import ClipKind, ClipRefused, TracksDiffer, clip_name, gaps_text
from ..ports.questions import At
from .footage import ARCHIVE, require_archive

SUFFIXES: dict[str, ClipKind] = {".mp4": "mp4", ".h264": "annexb", ".h265": "annexb"}
FORMS = ".mp4, .h264, .h265 or .zip"


@attrs.frozen
class TakenClip:
    """A clip that was read, and its place in the output."""

    camera: str
    name: str
    clip: Clip
    gaps: Sequence[RecordingGap]


def _begin_ns(name: str, at: At | None) -> int:
    if at is None or at.seq is not None:
        fail(f"{name} must be a time, as 2026-01-31T03:10 or 10m")
    now_ns = time_ns()
    return interval(at, zone(), now_ns, now_ns).begin_ns


@click.command()
@ARCHIVE
@click.option("--camera", "cameras", metavar="NAME", multiple=True, required=True, help="Several for a .zip.")
@click.option("--from", "--since", "since", type=TimeOrSeq(), metavar="TIME", required=True, help="Begin.")
@click.option("--to", "--until", "until", type=TimeOrSeq(), metavar="TIME", required=True, help="End.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help=f"It ends in {FORMS}.")
@UTC_OPTION
@JSON
def clip(archive: Path, cameras: Sequence[str], since: At, until: At, output: Path | None, as_json: bool) -> None:
    """Take recorded video of ARCHIVE as one file, without a daemon.

    An .mp4 plays from the picture of the time on, over gaps without them. An .h264 or .h265 is the video as it is in
    the stream, from the key frame before on. A .zip has an MP4 of each camera, the gaps, and digests. A file that
    exists is never overwritten. No daemon hears of it: only clips that banken itself sends are in the journal.
    """
    require_archive(archive)
    with quietly(), exit_on_signals(), closing(Footage(archive)) as footage:
        from_ns, to_ns = _begin_ns("--from", since), _begin_ns("--to", until)
        if from_ns >= to_ns:
            fail(f"--from ({iso(from_ns)}) must be before --to ({iso(to_ns)})")
        _require_cameras(footage, archive, cameras)
        whole = clip_name(cameras[0] if len(cameras) == 1 else "cameras", from_ns, to_ns)
        target = output or Path(f"{whole}.{'zip' if len(cameras) > 1 else 'mp4'}")
        suffix = target.suffix.lower()
        if suffix not in (*SUFFIXES, ".zip"):
            fail(f"{target}: the name must end in {FORMS}")
        if suffix != ".zip" and len(cameras) > 1:
            fail(f"{target}: several cameras need a .zip")
        kind = SUFFIXES.get(suffix, "mp4")
        taken = [found for camera in cameras if (found := _read(footage, camera, from_ns, to_ns, kind)) is not None]
        if not taken:
            fail(f"nothing is recorded of {', '.join(cameras)} from {iso(from_ns)} to {iso(to_ns)}")
        if kind == "annexb" and f".{taken[0].clip.codec}" != suffix:
            fail(f"{target}: the video of this time is {taken[0].clip.codec}: write .{taken[0].clip.codec}")
        digest = _write(target, footage, taken, from_ns, to_ns)
        _report(target, taken, digest, as_json)


def _require_cameras(footage: Footage, archive: Path, cameras: Sequence[str]) -> None:
    known = footage.cameras()
    for camera in cameras:
        if camera not in known:
            fail(f"{archive} has no recordings of {camera!r}; it has those of {', '.join(known) or 'no camera'}")


def _read(footage: Footage, camera: str, from_ns: int, to_ns: int, kind: ClipKind) -> TakenClip | None:
    say_progress(f"reading the recordings of {camera}")
    try:
        found = read_clip(footage, camera, from_ns, to_ns, kind)
    except TracksDiffer as error:
        fail(f"{camera}: {error}: take two clips, up to {iso(error.at_ns)} and from there on")
    except ClipRefused as error:
        if footage.stretches(camera, from_ns, to_ns):
            fail(f"{camera}: {error}")
        return None
    spans = [(each.began_ns, each.ended_ns) for each in footage.stretches(camera, from_ns, to_ns)]
    return TakenClip(camera, f"{clip_name(camera, from_ns, to_ns)}.mp4", found, gaps(spans, (), from_ns, to_ns, to_ns))


def _write(target: Path, footage: Footage, taken: Sequence[TakenClip], from_ns: int, to_ns: int) -> str:
    """Write the file, and return its digest; for a zip, nothing. Nothing is left of one that was not finished."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fail(f"{target} exists: give another name with -o")
    try:
        with open(descriptor, "wb") as out:
            if target.suffix.lower() == ".zip":
                _write_zip(out, footage, taken, from_ns, to_ns)
                return ""
            digest = hashlib.sha256()
            for data in _chunks(footage, taken[0]):
                out.write(data)
                digest.update(data)
            return digest.hexdigest()
    except BaseException:
        with suppress(OSError):
            os.unlink(target)
        raise
    finally:
        say_progress("")


def _chunks(footage: Footage, taken: TakenClip) -> Iterator[bytes]:
    clip = taken.clip
    files: OpenFiles = open_files(footage, clip, 0, clip.size, lambda count: None)
    done = 0
    try:
        places = range(len(clip.slices)) if clip.is_annexb else range(0, clip.size, CHUNK)
        for at in places:
            data = files.read_annexb(at) if clip.is_annexb else files.read(at, min(at + CHUNK, clip.size))
            done += len(data)
            say_progress(f"{taken.camera}: {done * 100 // clip.size} % of {size(clip.size)}")
            yield data
    finally:
        files.close()


def _write_zip(out: BinaryIO, footage: Footage, taken: Sequence[TakenClip], from_ns: int, to_ns: int) -> None:
    sums = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:

        def put(name: str, chunks: Iterator[bytes]) -> None:
            digest = hashlib.sha256()
            with archive.open(name, "w", force_zip64=True) as entry:
                for data in chunks:
                    entry.write(data)
                    digest.update(data)
            sums.append(f"{digest.hexdigest()}  {name}\n")

        for each in taken:
            put(each.name, _chunks(footage, each))
        put("gaps.txt", iter([gaps_text({each.camera: each.gaps for each in taken}, from_ns, to_ns).encode()]))
        archive.writestr("SHA256SUMS", "".join(sums))


def _report(target: Path, taken: Sequence[TakenClip], digest: str, as_json: bool) -> None:
    written = target.stat().st_size
    if as_json:
        cameras = [
            {
                "camera": each.camera,
                "duration_s": round(each.clip.duration_s, 3),
                "gaps": [{"began_ns": gap.began_ns, "ended_ns": gap.ended_ns} for gap in each.gaps],
            }
            for each in taken
        ]
        say_json({"file": str(target), "bytes": written, "sha256": digest or None, "cameras": cameras})
        return
    for each in taken:
        missing = sum(gap.ended_ns - gap.began_ns for gap in each.gaps) / 1e9
        lacks = f"; without {plural(len(each.gaps), 'gap')} of {seconds(missing)}" if each.gaps else ""
        say(f"{each.camera}: {seconds(each.clip.duration_s)}{lacks}")
    say(f"{clean(str(target))}: {size(written)}" + (f", SHA-256 {digest}" if digest else ""))
