"""The page's own tests, in Node's runner, and what the page and the server must agree on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.domain.lifecycle import CameraPhase
from tests.conftest import require
from web.dashboard import FOLDER


def test_the_pages_modules_pass_their_tests() -> None:
    """The player's state machine on all pairs, and the other modules that only compute."""
    require(None if shutil.which("node") else "no node on the PATH (Debian package nodejs)")
    here = Path(__file__).parent / "dashboard"
    done = subprocess.run(["node", "--test", *here.glob("*.test.mjs")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_nothing_comes_from_another_host() -> None:
    for path in FOLDER.rglob("*"):
        if path.suffix in (".js", ".html", ".css"):
            found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
            assert [url for url in found if "www.w3.org" not in url] == [], path


@pytest.mark.parametrize("phase", [p for p in CameraPhase if p is not CameraPhase.REMOVED])
def test_every_state_of_a_camera_has_its_looks(phase: CameraPhase) -> None:
    """A state that the page does not know would be shown without a colour and a shape."""
    assert phase.value in (FOLDER / "styles" / "tile.css").read_text()
    assert f'id="icon-{phase.value}"' in (FOLDER / "index.html").read_text()


def test_the_light_theme_is_the_same_for_who_chose_it_and_for_whose_system_did() -> None:
    """It has to be written twice; a colour that is only in one of them is the dark theme's on paper."""
    text = (FOLDER / "styles" / "tokens.css").read_text()
    chosen, preferred = (
        text.partition(start)[2].partition("}")[0] for start in ('[data-theme="light"]', ":not([data-theme])")
    )
    assert colours(chosen) == colours(preferred) != {}


def test_every_control_is_operated_in_a_browser_by_some_test() -> None:
    """Buttons, fields, links and folds of the document, each by the name that the tests know it by."""
    controls = re.findall(r"<(?:button|input|select|summary|a|canvas)\b[^>]*>", (FOLDER / "index.html").read_text())
    names = [re.search(r'data-part="([^"]+)"', control) for control in controls]
    assert [control for control, name in zip(controls, names, strict=True) if name is None] == []
    tests = "".join(path.read_text() for path in (Path(__file__).parents[1] / "e2e").glob("test_*.py"))
    named = [name[1] for name in names if name]
    assert [name for name in named if not re.search(rf"(?<![\w-]){name}(?![\w-])", tests)] == []


def test_every_part_that_the_code_names_stands_in_the_document() -> None:
    """A name that is nowhere would be null in somebody's hands, as soon as it is used."""
    document = (FOLDER / "index.html").read_text()
    parts = set(re.findall(r'data-part="([^"]+)"', document))
    templates = set(re.findall(r'<template id="([^"]+)"', document))
    code = {path.name: re.sub(r"//.*", "", path.read_text()) for path in FOLDER.rglob("*.js")}
    uses = r"""\$\("([\w-]+)"|(?<!\w)parts(?:\.(?!map\b|length\b|join\b)(\w+)|\["([\w-]+)"\])"""
    named = {file: {"".join(found) for found in re.findall(uses, text)} for file, text in code.items()}
    assert {file: sorted(names - parts) for file, names in named.items() if names - parts} == {}
    assert {name for text in code.values() for name in re.findall(r'stamp\("([\w-]+)"\)', text)} == templates


def test_each_element_that_a_video_touches_is_in_its_tile_and_in_use() -> None:
    """The checklist is the template itself: what is in it is drawn by some module, and the tile draws nothing else."""
    document = (FOLDER / "index.html").read_text()
    template = document.partition('<template id="tile-template">')[2].partition("</template>")[0]
    parts = set(re.findall(r'data-part="([^"]+)"', template))
    code = "".join(path.read_text() for path in FOLDER.rglob("*.js"))
    assert parts >= {"video", "still", "stills", "snapshot", "overlay", "state", "resolution", "codec", "hint"}
    assert [part for part in sorted(parts) if not re.search(rf"(?<![\w-]){part}(?![\w-])", code)] == []
    tile = re.sub(r"//.*", "", (FOLDER / "panels" / "tile.js").read_text())
    drawn = {"".join(found) for found in re.findall(r"""(?<!\w)parts(?:\.(\w+)|\["([\w-]+)"\])""", tile)}
    assert drawn <= parts
    assert drawn > {"video", "overlay", "resolution"}


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", block))
