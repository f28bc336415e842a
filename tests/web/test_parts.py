"""Parts that the configuration turns off: their paths answer with a separate type, and nothing is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.config.settings import SETTINGS
from tests.kit.http import request
from tests.kit.site import open_site
from web import router
from web.app import WebSettings
from web.parts import PARTS, left_out, part_of

ROOT = Path(__file__).parents[2]
EVERY = frozenset(PARTS)
OFF = """
import sys

from supervisor.runtime import collector

def settle():
    print("imported:", *sys.modules)
    os.kill(os.getpid(), signal.SIGTERM)

import os, signal
from supervisor.__main__ import main
collector.settle = settle
sys.argv = ["banken", "run", sys.argv[1]]
main()
"""
"""Prints the modules that the daemon has imported when it answers, and stops it."""
MODULES = {
    "dashboard": ("web.resources.page", "web.document"),
    "metrics": ("web.resources.metrics", "web.metrics", "web.exposition"),
    "rooms": ("web.resources.signaling", "supervisor.services.rooms"),
    "detections": ("web.resources.detections", "supervisor.services.detections", "supervisor.services.thumbnails"),
}


def test_every_part_has_its_setting_and_owns_the_paths_of_its_resources() -> None:
    """The parts are those of the table of settings. A path belongs to a part exactly if its resource does."""
    assert {each.key for each in SETTINGS if each.section == "parts"} == EVERY
    for resource in router.load():
        for route in resource.routes:
            path = route.path.replace("{name:path}", "main.js").replace("{", "").replace("}", "")
            owners = [name for name, part in PARTS.items() if resource.name in part.resources]
            owner = part_of(path)
            assert ([] if owner is None else [owner]) == owners, path


@pytest.mark.parametrize("part", PARTS)
async def test_path_of_a_part_that_is_off_answers_part_off(part: str) -> None:
    """404 with the type and the setting, whatever the method is. The other parts answer."""
    paths = {
        "dashboard": "/dashboard/main.js", "metrics": "/metrics", "rooms": "/api/rooms", "detections": "/api/detections"
    }  # fmt: skip
    async with open_site(settings=WebSettings(off=frozenset({part}))) as site:
        answers = {name: await site.get(path) for name, path in paths.items()}
        posted = await request(site.port, "POST", paths[part])
    assert {name for name, answer in answers.items() if answer.status == 404} == {part}
    for answer in (answers[part], posted):
        assert answer.status == 404
        problem = answer.json
        assert problem["type"] == "urn:banken:problem:part-off"
        assert f"parts.{part}" in problem["detail"]


async def test_websocket_of_a_part_that_is_off_is_refused() -> None:
    """Rooms are joined over a WebSocket: it is not opened."""
    async with open_site(settings=WebSettings(off=frozenset({"rooms"}))) as site:
        answer = await site.handshake(path="/ws/signaling")
    assert (answer.status, answer.json["type"]) == (404, "urn:banken:problem:part-off")


def test_modules_of_a_part_that_is_off_are_not_imported(tmp_path: Path) -> None:
    """All parts at once; with all parts on, the same modules are there."""
    imported = {}
    for switch in ("on", "off"):
        config = tmp_path / f"{switch}.yaml"
        parts = ", ".join(f"{name}: {switch}" for name in sorted(EVERY))
        config.write_text(
            f'web: {{listen: "127.0.0.1:0"}}\nparts: {{{parts}}}\ncameras: {{a: "rtsp://127.0.0.1:9/x"}}\n'
        )
        program = [sys.executable, "-c", OFF, str(config)]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        imported[switch] = next(line for line in done.stdout.splitlines() if line.startswith("imported:")).split()
    wanted = [module for modules in MODULES.values() for module in modules]
    assert [module for module in wanted if module not in imported["on"]] == []
    assert [module for module in wanted if module in imported["off"]] == []


def test_resources_of_a_part_that_is_off_are_left_out() -> None:
    """The others stay."""
    assert left_out({"rooms", "metrics"}) == {"signaling", "metrics"}
    assert "signaling" not in [resource.name for resource in router.load(left_out({"rooms"}))]
