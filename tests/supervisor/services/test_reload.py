"""A changed configuration is taken, or refused with an event that says why."""

import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import pytest
import trio

from actors.sources import KINDS
from supervisor.base.log import LogFormatter
from supervisor.base.redact import redact
from supervisor.compose.daemon import _wait_for_stop
from supervisor.config.config import Config, Source
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError
from supervisor.config.settings import SETTINGS
from supervisor.domain import events as e
from supervisor.domain.configuration import LINE, LINES
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.health import health
from supervisor.domain.ids import CameraId
from supervisor.domain.values import CameraSettings, Limits
from supervisor.domain.verdict import Verdict
from supervisor.ports.decisions import Origin
from supervisor.runtime.vault import Vault
from supervisor.services.reload import MOST_WAITING, Reloads, run_reloads
from tests.kit.core import Core, open_core

CONFIG = "cameras: {front: test:64x64@5}"
CLIENT = Origin("client:192.0.2.9")


def read(text: str) -> Config:
    return parse(text, "banken.yaml", {}, {name: kind.check for name, kind in KINDS.items()})


async def test_reload_hides_the_new_list_of_secrets_in_the_log_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that leaked is hidden from the next line on; and the list is not said to wait for the next start."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(message)s", ["streamkey1"]))
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, handler])
    running, changed = read(f"{CONFIG}\nsecret: [streamkey1]"), read(f"{CONFIG}\nsecret: [streamkey2]")
    record = logging.LogRecord("x", logging.ERROR, "", 1, "streamkey1 streamkey2", (), None)
    async with open_core() as core:
        assert handler.format(record) == "*** streamkey2"
        with caplog.at_level(logging.INFO):
            await Reloads(core.kernel, Vault(), running, lambda: changed).reload()
        assert handler.format(record) == "streamkey1 ***"
    assert "read again: 1 camera" in caplog.text
    assert "next start" not in caplog.text


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ("web: {listen: '127.0.0.1:9'}", "web.listen"),
        ("web: {allow_origins: ['https://x'], trusted_proxies: [10.0.0.1]}", "web.allow_origins, web.trusted_proxies"),
        ("web: {forwarded: forwarded}", "web.forwarded"),
        ("webrtc: {not_live: refuse, ice_servers: ['stun:h']}", "webrtc.ice_servers, webrtc.not_live"),
        ("journal: {path: there, retention: 9h, max_size: 1GiB}", "journal.path, journal.retention, journal.max_size"),
        ("journal: {anchor: {file: /a}}", "journal.anchor.file"),
        ("detections: {token: a-long-enough-token}", "detections.token"),
    ],
)
async def test_reload_names_the_settings_that_wait_for_the_next_start(changed: str, names: str) -> None:
    """Those that changed, and no other; every setting is either taken or named."""
    async with open_core() as core:
        reloads = Reloads(core.kernel, Vault(), read(CONFIG), lambda: read(f"{CONFIG}\n{changed}"))
        found = await reloads.reload()
    assert found.warnings == (f"the change of {names} is taken at the next start",)


def test_value_that_a_reload_takes_is_that_of_a_reloadable_setting() -> None:
    """A reload journals five values and replaces the sources; each setting of theirs is reloadable, and no other is."""
    journaled = ("limits", "patrol", "policy")
    taken = {each.name for each in SETTINGS if each.field.partition(".")[0] in journaled}
    groups = (
        "cameras.",
        "daemons.",
        "detectors.",
        "devices.",
        "timeouts.",
        "transcode",
        "record.archive",
        "record.audio",
        "record.events.",
    )
    taken |= {each.name for each in SETTINGS if each.name.startswith(groups)}
    taken |= {"secret", "log.level"}
    assert taken == {each.name for each in SETTINGS if each.reloadable}


@pytest.mark.parametrize(
    ("change", "reopens"),
    [
        ("timeouts: {stall: 60s}", False),
        ("audio: off", True),
        ("auth: digest", True),
        (f"tls: {{pin: {'ab' * 32}}}", True),
    ],
)
async def test_reload_of_a_timeout_ends_no_connection_and_that_of_audio_does(change: str, reopens: bool) -> None:
    """A change of the source is an event, for which the camera is opened again. Both reach the next connection."""
    before = read("cameras: {front: {source: 'rtsps://192.0.2.1/1'}}")
    after = read(f"cameras: {{front: {{source: 'rtsps://192.0.2.1/1', {change}}}}}")
    async with open_core() as core:
        vault = Vault()
        reloads = Reloads(core.kernel, vault, before, lambda: found)
        for found in (before, after):  # noqa: B007 (the reader returns it)
            await reloads.reload()
        await core.stored()
        assert ("CameraChanged" in core.types("camera/")) == reopens
        assert vault[CameraId("front")] == after.cameras[CameraId("front")]


async def test_reload_changes_the_level_of_the_log() -> None:
    """And leaves a level alone that somebody else has set meanwhile, if the setting is the same."""
    root = logging.getLogger()
    before = root.level
    try:
        async with open_core() as core:
            reloads = Reloads(core.kernel, Vault(), read(CONFIG), lambda: read(f"{CONFIG}\nlog: {{level: error}}"))
            assert (await reloads.reload()).warnings == ()
            assert root.level == logging.ERROR
            root.setLevel(logging.DEBUG)
            await reloads.reload()
            assert root.level == logging.DEBUG
    finally:
        root.setLevel(before)


async def test_reload_warns_of_arguments_that_look_secret(caplog: pytest.LogCaptureFixture) -> None:
    """As a start does."""
    changed = read("cameras: {front: {ffmpeg: [-re, -i, 'http://h/x?sid=geheim']}}")
    async with open_core() as core:
        await Reloads(core.kernel, Vault(), read(CONFIG), lambda: changed).reload()
    assert "ffmpeg of front: arguments that look secret" in caplog.text
    assert "geheim" not in caplog.text


async def test_reload_reads_and_redacts_in_a_thread() -> None:
    """A thousand sources take a tenth of a second to redact; the loop only takes the result, and once."""
    threads: list[threading.Thread] = []

    class NotedVault(Vault):
        def settings_of(self, sources: Mapping[CameraId, Source]) -> tuple[CameraSettings, ...]:
            threads.append(threading.current_thread())
            return super().settings_of(sources)

    async with open_core() as core:
        vault = NotedVault()
        await Reloads(core.kernel, vault, read(CONFIG), lambda: read(CONFIG)).reload()
        assert vault.find(CameraId("front")) is not None
        assert [*core.kernel.state.cameras] == ["front"]
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_reload_that_is_asked_for_while_a_file_is_read_comes_after_it_once() -> None:
    """The newest file is taken last; a hundred signals meanwhile are one more reload, and none is lost."""
    files, reading, go_on = [CONFIG], threading.Event(), threading.Event()
    taken: list[str] = []

    def reload() -> Config:
        taken.append(files[-1])
        reading.set()
        go_on.wait(20)
        return read(taken[-1])

    async with open_core() as core, trio.open_nursery() as nursery:
        asked, asks = trio.open_memory_channel[None](1)
        nursery.start_soon(run_reloads, asks, Reloads(core.kernel, Vault(), read(CONFIG), reload).reload)
        asked.send_nowait(None)
        await trio.to_thread.run_sync(reading.wait, 20)
        files.append(CONFIG.replace("front", "back"))
        with pytest.raises(AssertionError, match="signals never end"):
            await _wait_for_stop(signals_of(100), asked)
        go_on.set()
        asked.close()
    assert taken == files
    assert [*core.kernel.state.cameras] == ["back"]


async def signals_of(count: int) -> AsyncIterator[int]:
    """So many SIGHUPs, one after the other."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()
        yield signal.SIGHUP


def refuses(*complaints: str) -> Callable[[], Config]:
    """A file with these complaints."""

    def load() -> Config:
        raise ConfigError([*complaints])

    return load


def refusals(core: Core) -> list[e.ConfigurationRefused]:
    return [row.event for row in core.disk.rows if isinstance(row.event, e.ConfigurationRefused)]


async def test_refused_reload_is_an_event_and_part_of_health_until_a_good_one() -> None:
    """The cameras stay as they are; who asked is in the journal."""
    async with open_core() as core:
        vault, good = Vault(), read(CONFIG)
        await Reloads(core.kernel, vault, good, lambda: good).reload()
        refused = await Reloads(core.kernel, vault, good, refuses("banken.yaml:3: no 'x'", "banken.yaml:7: no")).reload(
            CLIENT
        )
        assert (refused.refused, refused.cameras) == (("banken.yaml:3: no 'x'", "banken.yaml:7: no"), 1)
        await core.stored()
        (event,) = refusals(core)
        assert event == e.ConfigurationRefused("banken.yaml", refused.refused)
        assert core.disk.rows[-1].principal == "client:192.0.2.9"
        part = next(part for part in health(core.kernel.state, None).parts if part.part == "configuration")
        assert (part.verdict, "banken.yaml:3: no 'x'; banken.yaml:7: no" in part.reason) == (Verdict.DEGRADED, True)
        assert [*core.kernel.state.cameras] == ["front"]
        await Reloads(core.kernel, vault, good, lambda: good).reload()
        assert core.kernel.state.refused is None
        assert all(part.part != "configuration" for part in health(core.kernel.state, None).parts)


async def test_complaints_in_the_journal_are_few_short_and_without_secrets() -> None:
    """The password of a camera that runs, a word of `secret`, and one in an address; and a thousand complaints."""
    running = parse("cameras: {front: 'rtsp://u:${PASS}@192.0.2.1/'}\nsecret: [streamkey1]", "banken.yaml",
                    {"PASS": "geheim77"}, {name: kind.check for name, kind in KINDS.items()})  # fmt: skip
    lines = ["a: geheim77", "b: streamkey1", "c: rtsp://u:other@h/", f"d: {'x' * 1000}", "two\nlines", *["more"] * 995]
    async with open_core() as core:
        vault = Vault()
        vault.take(running.cameras)
        reloaded = await Reloads(core.kernel, vault, running, refuses(*lines)).reload()
        await core.stored()
        (event,) = refusals(core)
    assert (reloaded.refused, reloaded.more) == (event.lines, event.more)
    assert (len(event.lines), event.more, max(map(len, event.lines))) == (LINES, 1000 - LINES, LINE)
    assert event.lines[:3] == ("a: ***", "b: ***", "c: rtsp://u:***@h/")
    assert event.lines[4] == "two lines"


async def test_complaints_hide_the_secrets_of_detectors_and_daemons_that_run() -> None:
    """Also those that the new file no longer has, but whose text it has somewhere else."""
    text = """
cameras: {front: test:64x64@5}
detectors: {yolo: {command: [/bin/cat], env: {KEY: "${ONE}"}}}
daemons: {switcher: {command: [/bin/cat], env: {KEY: "${TWO}"}}}
"""
    running = parse(text, "banken.yaml", {"ONE": "geheim77", "TWO": "leise1234"}, {"test": lambda _: None})
    async with open_core() as core:
        vault = Vault()
        vault.take(running.cameras)
        vault.take_detectors(running.detectors)
        vault.take_daemons(running.daemons)
        await Reloads(core.kernel, vault, running, refuses("a: geheim77", "b: leise1234")).reload()
        await core.stored()
        (event,) = refusals(core)
    assert event.lines == ("a: ***", "b: ***")


async def test_complaints_are_cut_and_redacted_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand, with a password for each camera, would hold the loop for a second; most of them are not shown."""
    threads: list[threading.Thread] = []

    def noted(text: str, secrets: Iterable[str]) -> str:
        threads.append(threading.current_thread())
        return redact(text, secrets)

    monkeypatch.setattr("supervisor.services.reload.redact", noted)
    async with open_core() as core:
        await Reloads(core.kernel, Vault(), read(CONFIG), refuses(*["no"] * 1000)).reload()
    assert len(threads) == LINES
    assert threading.current_thread() not in threads


async def test_complaints_in_the_log_are_few_and_say_how_many_more(caplog: pytest.LogCaptureFixture) -> None:
    """A line of the log is redacted, too."""
    async with open_core() as core:
        await Reloads(core.kernel, Vault(), read(CONFIG), refuses(*["no"] * 1000)).reload()
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert (line.count("\nno"), line.splitlines()[-1]) == (LINES, "and 980 more; banken check says them all")


@pytest.mark.parametrize(("load", "refused"), [(lambda: read(CONFIG), ()), (refuses("no"), ("no",))])
async def test_client_whose_last_token_goes_while_the_file_is_read_is_answered(
    load: Callable[[], Config], refused: tuple[str, ...]
) -> None:
    """The reload was paid for: a good file is taken, and a bad one is an event."""
    async with open_core() as core:
        kernel = core.kernel
        now = kernel.clock.mono_ns() / 1e9

        def spend() -> Config:
            for _ in range(100):
                kernel.allowance.charge("192.0.2.9", kernel.state.limits, now)
            return load()

        reloaded = await Reloads(kernel, Vault(), read(CONFIG), spend).reload(CLIENT)
        assert (reloaded.seq, reloaded.refused) == (kernel.state.seq, refused)


async def test_reader_that_crashes_is_a_refusal_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """They may hold anything; the log has them."""

    def load() -> Config:
        raise ZeroDivisionError("geheim")

    async with open_core() as core:
        reloaded = await Reloads(core.kernel, Vault(), read(CONFIG), load).reload()
    assert reloaded.refused == ("banken.yaml: it cannot be read (ZeroDivisionError; the log has more)",)


async def test_file_without_a_camera_is_refused() -> None:
    """It is more likely half of a file than the wish to watch nothing."""
    async with open_core(CameraId("front")) as core:
        reloaded = await Reloads(core.kernel, Vault(), read(CONFIG), lambda: read("cameras: {}")).reload()
        assert "names no camera any more" in reloaded.refused[0]
        assert [*core.kernel.state.cameras] == ["front"]


async def test_client_that_reloads_too_often_is_refused_before_the_file_is_read() -> None:
    """The burst is two; then the file is not read for it, while a signal has it read as before."""
    reads: list[None] = []

    def load() -> Config:
        reads.append(None)
        return read("cameras: {front: test:64x64@5}\nlimits: {journaled_burst: 2, journaled_rate: 0.1}")

    async with open_core(limits=Limits(journaled_burst=2, journaled_rate=0.1)) as core:
        reloads = Reloads(core.kernel, Vault(), load(), load)
        await reloads.reload(CLIENT)
        await reloads.reload(CLIENT)
        with pytest.raises(Rejected) as refused:
            await reloads.reload(CLIENT)
        assert refused.value.refusal is Refusal.RATE_LIMITED
        assert len(reads) == 3
        await reloads.reload()
        assert len(reads) == 4


async def test_few_reloads_wait_for_one_that_takes_long() -> None:
    """The next client is refused at once."""
    reading, go_on = threading.Event(), threading.Event()

    def load() -> Config:
        reading.set()
        go_on.wait(20)
        return read(CONFIG)

    async with open_core() as core, trio.open_nursery() as nursery:
        reloads = Reloads(core.kernel, Vault(), read(CONFIG), load)
        nursery.start_soon(reloads.reload, CLIENT)
        await trio.to_thread.run_sync(reading.wait, 20)
        for _ in range(MOST_WAITING):
            nursery.start_soon(reloads.reload, CLIENT)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Rejected) as refused:
            await reloads.reload(CLIENT)
        assert refused.value.refusal is Refusal.RATE_LIMITED
        go_on.set()
