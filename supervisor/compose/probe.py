"""`banken probe SOURCE`: open one camera without a daemon, and print the facts about it.

Rules of this file:
- The source and the hub are those of the daemon. The kernel is one without a journal.
- The source ends with the probe, also at a signal: children are reaped, TEARDOWN is sent, both within seconds.
- No output has a secret. Texts of the camera pass `SourceFacts`, reasons `redact_words`, the address `Source.summary`.
"""

import importlib.util
import json
import os
import random
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import click
import trio
from msgspec.structs import replace

from actors.addresses import tcp_probe
from actors.media.decoder.actor import run_decoder
from actors.media.decoder.client import Decoder
from actors.media.decoder.queue import Undecodable
from actors.media.ffmpeg import find_ffmpeg
from actors.media.hub import Hub
from actors.media.media import ENCODE_VIDEO
from actors.process.process import RealProcess
from actors.process.process_table import RealProcessTable
from actors.sources import KINDS
from actors.tools import Tools

from .. import __version__
from ..base.clock import Clock, SystemClock
from ..base.redact import redact, redact_words
from ..cli.camera_facts import rows_of
from ..cli.check import Assignment, load_or_fail, or_fail
from ..cli.control import ControlConnection
from ..cli.remote import ask, detail, refuse, unknown
from ..cli.terminal import clean, did_you_mean, fail, say, say_json, say_progress
from ..config.config import Config, Source, state_folder
from ..config.load import parse
from ..config.state_folder import control_in
from ..domain import commands as c
from ..domain.errors import Rejected
from ..domain.events import Recorded
from ..domain.ids import CameraId, NodeId, RunId
from ..domain.state import State
from ..domain.values import Fault, Limits, Reason
from ..ports.facts import CameraFacts
from ..runtime.kernel import Kernel, new_id
from ..runtime.output import set_up_log
from ..runtime.reconcile import wait_after_crash, wait_after_crash_of
from ..runtime.vault import Vault
from ..services.leases import Leases

NOT_SHOWN = 1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMIT_S, ASK_S = 10.0, 5.0
LEAST_S = 3.0
"""Seconds of video that are measured, even if all other facts are known before."""
LOOK_S = 0.2
MAX_DEPTH = 4
"""Sections within sections of a camera."""
PICTURE_S = 8.0
ANSWERING = ("rtsp", "go2rtc")
"""The kinds of sources that answer requests. Of the others, media are all that comes."""
NAME = CameraId("probe")
WHERE = ("SOURCE:1: ", f"camera {NAME!r}: ", f" of camera {NAME!r}", f" in camera {NAME!r}")
"""Words of complaints that name a place in a file that nobody wrote."""
CONFIGURED = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PASSWORD = "write user and password as rtsp://USER:PASSWORD@HOST/PATH; @ / # ? in a password are %40 %2F %23 %3F"
HELP = {
    "unauthorized": PASSWORD,
    "no-password": PASSWORD,
    "forbidden": "give this user the right to watch, or use another one",
    "not-found": "the path belongs to the camera: look it up in the manual or the web page of the camera",
    "unreachable": "check that the camera is on, and its address; usual TCP ports are 554 (rtsp) and 322 (rtsps)",
    "name-timeout": "write the IP address in place of the name, or check the resolver of this machine",
    "unsupported-auth": "set the camera to Digest, or remove `auth: digest` if its password may be sent readably",
    "wrong-certificate": "pin the SHA-256 of a new certificate of the camera; any other may be of somebody else",
    "ended": "a TLS port ends an rtsp:// connection: try rtsps://",
    "no-answer": "check the TCP port, and whether the camera wants rtsp:// or rtsps://",
    "unsupported-codec": (
        f"choose H.264 in the camera, or re-encode: 'ffmpeg:-i ADDRESS {ENCODE_VIDEO}'; other users could read a "
        "password there, so let a go2rtc encode the stream of such a camera, and open that as rtsp://HOST:8554/STREAM"
    ),
    "full": "end other connections to the camera, a phone or a recorder",
    "stalled": "give it more time with --timeout; a camera may send a key frame every 30 s only",
    "redirected": "if that address is right, probe it",
    "upstream": "check the address of go2rtc in `via`",
}
"""The setting or the step that helps, by the code of the reason."""


@click.command()
@click.argument("source", nargs=-1, required=True, metavar="SOURCE")
@click.option("--config", type=click.Path(path_type=Path), help="A configuration; SOURCE is the name of its camera.")
@click.option(
    "--set", "options", multiple=True, type=Assignment("transport=udp"), metavar="KEY=VALUE",
    help="A key of the camera as in a configuration, like transport=udp; for an address, not with --config.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(1, 600), default=LIMIT_S, show_default=True, metavar="SECONDS")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Write the newest key frame as JPEG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def probe(
    source: tuple[str, ...],
    config: Path | None,
    options: tuple[tuple[str, str], ...],
    timeout: float,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Open one camera for a moment, and print what it sends. Exit 0: shown; exit 1: not shown, with the reason.

    SOURCE is an address, file:, test: or ffmpeg:ARGUMENTS, in quotes, or the name of a camera with --config.
    ${NAME} in it is read from the environment, so that a password need not be in the list of processes.
    """
    if len(source) != 1:
        fail("probe takes one SOURCE; put it in quotes")
    if picture is not None and picture.suffix.lower() not in ("", ".jpg", ".jpeg"):
        fail(f"--picture: the picture is a JPEG; name a file that ends in .jpg, not {clean(picture.suffix)}")
    if picture is not None and (picture.is_dir() or not picture.parent.is_dir()):
        fail(f"--picture: {clean(str(picture))} cannot be written; name a file in a folder that exists")
    caught: list[int] = []
    with noted_signals(caught):
        camera, known, secrets = find_source(source[0], config, options)
        set_up_log("error", secrets)
        found = trio.run(partial(run_probe, camera, known, timeout, picture is not None, caught=caught))
    if caught:
        sys.exit(128 + caught[0])
    if picture is not None and found.jpeg:
        found = save(found, picture)
    if as_json:
        say_json(as_object(found))
    else:
        for line in as_lines(found):
            say(line)
    if found.reason is not None or found.picture_missing:
        sys.exit(NOT_SHOWN)


# ── what is opened ──────────────────────────────────────────────────────────────────────────────────────────────────


def find_source(
    text: str, config: Path | None, options: Sequence[tuple[str, str]]
) -> tuple[CameraId, Source, tuple[str, ...]]:
    """Return the camera's name, its source and all secrets. On a problem, print it and exit with 2."""
    kinds = {name: kind.check for name, kind in KINDS.items()}
    if config is None:
        if CONFIGURED.fullmatch(text):
            fail("SOURCE is no address; the name of a camera needs --config FILE")
        document = json.dumps({"cameras": {NAME: with_options(keys_of(text), options)}}, ensure_ascii=False)
        read: Config = or_fail("SOURCE", partial(parse, document, "SOURCE", os.environ, kinds), WHERE)
        return NAME, read.cameras[NAME], (*read.cameras[NAME].secrets, *read.secret)
    if options:
        fail("--set belongs to an address; the camera of a configuration has its settings there")
    read = load_or_fail(config, kinds, {})
    name = CameraId(text)
    if not CONFIGURED.fullmatch(text):  # it may be an address with a password, so it is not repeated
        fail("with --config, SOURCE is the name of a camera")
    if name not in read.cameras:
        fail(f"{config} has no camera {text!r}{did_you_mean(text, read.cameras)}")
    require_not_private(config, control_in(state_folder(read)), name)
    return name, read.cameras[name], (*read.cameras[name].secrets, *read.secret)


def require_not_private(config: Path, control: Path, camera: CameraId) -> None:
    """End the command with 1 if the daemon of this configuration has the camera private, or does not say."""
    try:
        with closing(ControlConnection(control, ASK_S)) as connection:
            connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):  # no daemon runs
        return
    except OSError:  # one may run: `ask` ends the command with the reason
        pass
    status, body = ask(control, "GET", f"api/cameras/{quote(camera, safe='')}", config)
    if status == 404:  # the daemon does not know it yet
        return
    if status != 200:
        refuse(detail(body) or unknown(control, status))
    switched = body.get("privacy")
    if switched is not None:
        refuse(f"{camera} is private, and is not opened; banken privacy {clean(str(switched['camera']))} off ends that")


def keys_of(text: str) -> dict[str, Any]:
    """Return the keys of a camera in a configuration for `text`: `source`, or `ffmpeg` with a list."""
    kind, _, rest = text.partition(":")
    if kind != "ffmpeg":
        return {"source": text}
    try:
        return {"ffmpeg": shlex.split(rest)}
    except ValueError as error:
        fail(f"the arguments behind ffmpeg: cannot be separated: {error}")


def with_options(keys: dict[str, Any], options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return `keys` with those of `--set`; a dot leads into a section, as in `timeouts.answer`."""
    for name, value in options:
        section = keys
        *outer, last = name.split(".")[:MAX_DEPTH]
        for key in outer:
            section = section.setdefault(key, {}) if isinstance(section.get(key, {}), dict) else {}
        section[last] = value
    return keys


# ── the probe ───────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class Found:
    """The result of a probe."""

    camera: CameraId
    source: Source
    facts: CameraFacts
    reason: Reason | None
    """Why nothing was shown; None if there was a key frame."""
    took_s: float
    jpeg: bytes = b""
    picture: str = ""
    """The file that it was written to."""
    picture_missing: str = ""
    """Why there is no picture, if one was wanted."""


class NoJournal:
    """Stores nothing: a probe has no past."""

    def append_nowait(self, recorded: Recorded, state: State) -> None:
        return

    async def wait_committed(self, seq: int) -> bool:
        await trio.lowlevel.checkpoint()
        return True


def make_tools(camera: CameraId, source: Source, keep: trio.Nursery, clock: Clock) -> Tools:
    """Return the dependencies of the source, with a kernel that knows this camera alone."""
    kernel, vault = Kernel(State(), NoJournal(), clock, NodeId(f"probe-{os.getpid()}"), RunId(new_id())), Vault()
    kernel.emit(c.StartRun(kernel.run, kernel.node, __version__, os.getpid()))
    kernel.emit(c.Configure("probe", vault.take({camera: source}), Limits()))
    return Tools(
        kernel=kernel,
        sources=vault,
        leases=Leases(kernel),
        detections=None,
        wait_after_crash=partial(wait_after_crash_of, kernel),
        wait_after_camera_crash=partial(wait_after_crash, kernel, random.random),
        open_process=RealProcess,
        processes=RealProcessTable(),
        owner=kernel.node,
        ffmpeg=find_ffmpeg(),
        tcp_probe=tcp_probe,
        jitter=random.random,
        keep=keep,
    )


async def run_probe(
    camera: CameraId,
    source: Source,
    limit_s: float,
    wants_picture: bool,
    change: Callable[[Tools], Tools] = lambda tools: tools,
    clock: Clock | None = None,
    caught: list[int] | None = None,
) -> Found:
    """Open `source` for at most `limit_s` seconds, and return what was found.

    Args:
        change: replaces dependencies, for tests.
        clock: the clock of the hub.
        caught: receives the numbers of signals. If it has one already, the probe ends at its beginning.

    Cancellation: ends the source, and decodes no picture. Cleanup: that of the source and of the decoder; a signal
    does the same.
    """
    began, caught = trio.current_time(), [] if caught is None else caught
    found = Found(camera, source, CameraFacts(), None, 0.0)
    async with trio.open_nursery() as keep:
        tools = change(make_tools(camera, source, keep, clock or SystemClock()))
        hub = Hub(tools.kernel.clock)
        async with trio.open_nursery() as nursery:
            await nursery.start(_end_on_signal, caught, nursery.cancel_scope)
            if caught:
                nursery.cancel_scope.cancel(reason="a signal came before")
            nursery.start_soon(_show_progress, hub, began, limit_s)
            found = await _play(camera, source, hub, tools, limit_s)
            if wants_picture:
                found = await _make_jpeg(found, hub, tools)
            nursery.cancel_scope.cancel(reason="the probe has its result")
        say_progress("")
        keep.cancel_scope.cancel(reason="the probe is over; nothing waits for a child that SIGKILL does not end")
    return attrs.evolve(found, took_s=round(trio.current_time() - began, 3))


async def _play(camera: CameraId, source: Source, hub: Hub, tools: Tools, limit_s: float) -> Found:
    """Run the source until enough is known, until it ends, or for `limit_s` seconds."""
    reason: Reason | None = None
    facts = CameraFacts()
    hub.begin(source.secrets)

    async def run() -> None:
        nonlocal reason, facts
        try:
            ended = await KINDS[source.kind].run(camera, source, hub, tools)
            reason = replace(ended, text=redact_words(ended.text, source.secrets))
        except Rejected as refused:
            reason = Reason("refused", str(refused))
        facts = hub.about()
        nursery.cancel_scope.cancel(reason="the source ended")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        with trio.move_on_after(limit_s):
            await _wait_enough(hub)
        facts = hub.about()
        nursery.cancel_scope.cancel(reason="the probe has seen enough")
    if hub.still is not None:
        reason = None
    elif reason is None:
        reason = _not_shown(source, hub, facts, limit_s)
    return Found(camera, source, facts, reason, 0.0)


async def _wait_enough(hub: Hub) -> None:
    """Wait for a whole GOP, and for `LEAST_S` seconds of video."""
    await hub.wait_key(0)
    first = trio.current_time()
    while hub.keys < 2 or trio.current_time() - first < LEAST_S:
        await hub.wait_unit()


def _not_shown(source: Source, hub: Hub, facts: CameraFacts, limit_s: float) -> Reason:
    if not hub.is_connected:
        return Reason("timeout", f"nothing was connected within {limit_s:g} s", Fault.TEMPORARY)
    answered = hub.heard or facts.server or facts.round_trip_s is not None
    if source.kind in ANSWERING and not answered:
        return Reason("no-answer", f"connected, but nothing was answered within {limit_s:g} s", Fault.TEMPORARY)
    return Reason("stalled", f"{hub.missing} within {limit_s:g} s{hub.too_large}")


async def _make_jpeg(found: Found, hub: Hub, tools: Tools) -> Found:
    """Make the JPEG of the newest key frame."""
    if hub.still is None:
        return attrs.evolve(found, picture_missing="there is no key frame")
    if importlib.util.find_spec("av") is None:
        return attrs.evolve(found, picture_missing="the package av is not installed, which decodes it")
    decoder, jpeg, missing = Decoder(), b"", f"the decoder took longer than {PICTURE_S:g} s"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_decoder, decoder, tools)
        with trio.move_on_after(PICTURE_S):
            try:
                jpeg, missing = await decoder.jpeg(found.camera, hub.still), ""
            except Undecodable as error:
                missing = str(error)
        nursery.cancel_scope.cancel(reason="the picture is made")
    return attrs.evolve(found, jpeg=jpeg, picture_missing=missing)


@contextmanager
def noted_signals(caught: list[int]) -> Iterator[None]:
    """Add the number of each SIGINT, SIGTERM or SIGHUP to `caught`: an exception would go through the event loop.

    A signal that is ignored stays so, as under nohup, until the event loop waits for it.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _end_on_signal(
    caught: list[int], scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Cancel the probe at the first SIGINT, SIGTERM or SIGHUP."""
    with trio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for number in signals:
            caught.append(number)
            scope.cancel(reason="a signal ended the probe")


async def _show_progress(hub: Hub, began: float, limit_s: float) -> None:
    while True:
        passed_s = trio.current_time() - began
        if hub.keys:
            what = "measuring"
        elif hub.heard:
            what = "waiting for a key frame"
        else:
            what = "connected" if hub.is_connected else "connecting"
        say_progress(f"{what}: {passed_s:.0f} s of {limit_s:g}")
        await trio.sleep(LOOK_S)


# ── what is printed ─────────────────────────────────────────────────────────────────────────────────────────────────


def save(found: Found, file: Path) -> Found:
    """Write the picture, and return the result with its place."""
    try:
        file.write_bytes(found.jpeg)
    except OSError as error:
        return attrs.evolve(found, picture_missing=f"{file} cannot be written: {error.strerror}")
    return attrs.evolve(found, picture=str(file))


def as_object(found: Found) -> dict[str, Any]:
    """The result for `--json`."""
    return {
        "source": found.source.summary().url,
        "kind": found.source.kind,
        "shown": found.reason is None,
        "reason": found.reason and {name: getattr(found.reason, name) for name in ("code", "text", "fault")},
        "help": HELP.get(found.reason.code, "") if found.reason else "",
        "took_s": found.took_s,
        "picture": found.picture or None,
        "picture_missing": found.picture_missing,
        "about": found.facts,
    }


def written(source: Source) -> str:
    """Return the source without its secrets: an address, or the arguments of ffmpeg quoted for a shell and `probe`."""
    arguments = [redact(each, source.secrets) for each in source.arguments]
    plain = source.summary().url
    if not arguments or " ".join(arguments) != plain:
        return plain
    return shlex.quote(f"{source.kind}:{shlex.join(arguments)}")


def as_lines(found: Found) -> list[str]:
    """The result for people: the outcome, then one line for each fact that is known."""
    reason, url, facts = found.reason, clean(written(found.source)), found.facts
    outcome = "shown" if reason is None else f"not shown: {clean(reason.text)}"
    picture = found.picture or (found.picture_missing and f"not written: {found.picture_missing}")
    helps = HELP.get(reason.code, "") if reason else ""
    count = str(len(facts.oddities)) if facts.oddities else "none" if facts.codec else ""
    rows = [("help", helps), ("picture", picture), *rows_of(facts), ("oddities", count)]
    lines = [f"  {label:<13} {clean(words)}" for label, words in rows if words]
    odd = [f"    {each.code} ×{each.count}: {each.does}; {each.handled}" for each in facts.oddities]
    return [f"{url}: {outcome}", *lines, *odd]
