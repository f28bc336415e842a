"""`banken record`: a person starts, stops and sees recordings of a daemon that runs."""

import json

import trio
from click.testing import CliRunner, Result
from msgspec.structs import replace

from supervisor.__main__ import main
from supervisor.domain import commands as c
from supervisor.domain.ids import RecordingId
from supervisor.domain.values import Limits, Reason, RecordMode
from supervisor.ports.archives import ArchiveRoom
from tests.kit.domain import GATE, YARD, settings
from tests.kit.site import Site, open_site


async def run(site: Site, *arguments: str) -> Result:
    words = ["record", *arguments, "--url", f"http://127.0.0.1:{site.port}"]
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))


async def test_recording_is_started_shown_and_stopped() -> None:
    """One line for each camera; `--json` prints the answer of the daemon."""
    async with open_site(GATE, YARD) as site:
        kernel = site.core.kernel
        demand = replace(settings(GATE), record=RecordMode.DEMAND)
        kernel.emit(c.Configure("test", (demand, replace(settings(YARD), record=RecordMode.ALWAYS)), Limits()))
        started = await run(site, "start", GATE, "--for", "10m")
        assert (started.exit_code, started.stderr) == (0, "")
        assert started.stdout.startswith("gate: stopped (record: demand), requested until 20")
        kernel.emit(c.BeginRecording(YARD, RecordingId("0" * 16), RecordMode.ALWAYS))
        kernel.emit(c.InterruptRecording(YARD, Reason("camera-lost", "no route")))
        gate, yard = (await run(site, "status")).stdout.splitlines()
        assert f"{gate}\n" == started.stdout
        assert yard.startswith("yard: interrupted (record: always), since 20") and yard.endswith(", no route")
        shown = json.loads((await run(site, "status", "--json")).stdout)
        assert [each["camera"] for each in shown["recordings"]] == [GATE, YARD]
        stopped = await run(site, "stop", GATE, "--json")
        assert json.loads(stopped.stdout)["requested"] is False


async def test_status_says_how_long_the_room_lasts() -> None:
    """Until the archive is full, or for how long it keeps recordings; and what is wrong with it."""
    async with open_site() as site:
        room = ArchiveRoom("recordings", 500, 0, 0, 1000, 100.0, 5.0, None, 1, 0.0, "")
        site.actors.rooms = (room, ArchiveRoom("cold", 0, 0, 0, 1000, 1.0, None, 14.0, 1, 0.0, "pins hold all"))
        assert (await run(site, "status")).stdout.splitlines()[-2:] == [
            "archive recordings: 500 B of 1000 B, full in 5 days",
            "archive cold: 0 B of 1000 B, keeps 14 days; pins hold all",
        ]


async def test_refusal_says_what_to_do() -> None:
    """Exit 1, with the words of the daemon."""
    async with open_site() as site:
        refused = await run(site, "start", GATE)
        assert refused.exit_code == 1
        assert refused.stderr == ("banken: gate is never recorded; set `record: demand` for it in the configuration\n")
        assert (await run(site, "start", GATE, "--for", "soon")).stderr == (
            "banken: for must be a time from 1s to 30d, like 10m, not 'soon'\n"
        )
