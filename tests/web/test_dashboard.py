"""The page's own tests, in Node's runner, and what the page and the server must agree on."""

import re
import shutil
import subprocess
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from supervisor.domain import signaling
from supervisor.domain.catalogue import EVENTS, entity_of
from supervisor.domain.lifecycle import CameraPhase
from tests.conftest import require
from web.document import document
from web.resources.page import FOLDER, SETUP


def test_the_pages_modules_pass_their_tests() -> None:
    """The player's state machine on all pairs, and the other modules that only compute."""
    require(None if shutil.which("node") else "no node on the PATH (Debian package nodejs)")
    here = Path(__file__).parent / "dashboard"
    done = subprocess.run(["node", "--test", *here.glob("*.test.mjs")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_line_of_the_scripts_is_longer_than_120_columns() -> None:
    """The formatter breaks code; it breaks neither comments nor texts."""
    for path in FOLDER.rglob("*.js"):
        lines = enumerate(path.read_text().splitlines(), 1)
        assert [number for number, line in lines if len(line) > 120] == [], path


def test_no_modules_import_each_other_in_a_circle() -> None:
    """`CycleError` would name them. The types in comments may refer to each other."""
    imports = re.compile(r'^(?:import|export) (?:[^"]*? from )?"(\.[^"]+)";', re.MULTILINE)
    paths = {path: imports.findall(path.read_text()) for path in FOLDER.rglob("*.js")}
    graph = {path: [(path.parent / name).resolve() for name in names] for path, names in paths.items()}
    assert {each for names in graph.values() for each in names} <= set(paths)
    assert len(list(TopologicalSorter(graph).static_order())) == len(paths) > 100


def test_no_key_is_declared_twice() -> None:
    """Outside of dialogs, or by one panel for its own dialog: the last declaration would silently win."""
    keys = re.compile(r'\bkeys: \[((?:"[^"]*"(?:, )?)+)\](,\s*inside: true)?')
    declared = ["Escape"]
    for path in (FOLDER / "panels").rglob("*.js"):
        for names, inside in keys.findall(path.read_text()):
            declared += [f"{path.stem}: {name}" if inside else name for name in re.findall(r'"([^"]+)"', names)]
    assert [name for name, count in Counter(declared).items() if count > 1] == []
    assert len(declared) > 40


def test_no_script_names_a_type_of_event() -> None:
    """Panels choose events by the facts of the generated `events.js`, so that a new event needs no edit of a panel.

    They match no type with a pattern, either, and the entities that they choose exist. The messages between clients
    of a room are no events of the journal, although one has the name of an event.
    """
    entities = {entity_of(kind) for kind in EVENTS}
    types = {kind.__name__ for kind in EVENTS}
    messages = {kind.tag() for kind in signaling.Message.__subclasses__()} & types
    assert messages == {"PeerConnected"}
    found = []
    for path in set(FOLDER.rglob("*.js")) - {FOLDER / "events.js"}:
        code = re.sub(r"^\s*//.*", "", path.read_text(), flags=re.MULTILINE)
        allowed = messages if path.parent.name == "rooms" else set()
        found += [f"{path.name}: {word}" for word in set(re.findall(r"\w+", code)) & types - allowed]
        found += [f"{path.name}: {each}" for each in re.findall(r"\btype\.(?:startsWith|match)|\.test\(type\)", code)]
        chosen = re.findall(r'\bentity === "(\w+)"', code)
        found += [f"{path.name}: there is no entity {each}" for each in chosen if each not in entities]
    assert found == []


def test_nothing_comes_from_another_host() -> None:
    """The page works without internet and tells no stranger about its viewer; XML namespaces are allowed."""
    for path in FOLDER.rglob("*"):
        if path.suffix in (".js", ".html", ".css"):
            found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
            assert [url for url in found if "www.w3.org" not in url] == [], path


@pytest.mark.parametrize("phase", [p for p in CameraPhase if p is not CameraPhase.REMOVED])
def test_every_state_of_a_camera_has_its_looks(phase: CameraPhase) -> None:
    """A state that the page does not know would be shown without a colour and a shape."""
    assert phase.value in (FOLDER / "panels" / "wall" / "tile.css").read_text()
    assert f'id="icon-{phase.value}"' in document(FOLDER)


def test_light_theme_is_the_same_by_choice_and_by_system() -> None:
    """It has to be written twice; a colour that is only in one of them is the dark theme's on paper."""
    text = (FOLDER / "styles" / "tokens.css").read_text()
    chosen, preferred = (
        text.partition(start)[2].partition("}")[0] for start in ('[data-theme="light"]', ":not([data-theme])")
    )
    assert colours(chosen) == colours(preferred) != {}


def test_every_control_is_operated_in_a_browser_by_some_test() -> None:
    """Buttons, fields, links and folds of the document, each by the name that the tests know it by."""
    page = re.sub(r'<template id="opener-template">.*?</template>', "", documents(), flags=re.DOTALL)
    controls = re.findall(r"<(?:button|input|select|summary|a|canvas)\b[^>]*>", page)
    names = [re.search(r'data-part="([^"]+)"', control) for control in controls]
    assert [control for control, name in zip(controls, names, strict=True) if name is None] == []
    tests = "".join(path.read_text() for path in (Path(__file__).parents[1] / "e2e").glob("test_*.py"))
    openers = [f"open-{view}" for view in re.findall(r'id="view-(\w+)"', page)]
    assert len(openers) >= 6
    named = [name[1] for name in names if name] + openers
    assert [name for name in named if not re.search(rf"(?<![\w-]){name}(?![\w-])", tests)] == []


def test_every_part_that_the_code_names_is_in_the_document() -> None:
    """A name that is nowhere would be null in somebody's hands, as soon as it is used."""
    page = documents()
    parts = set(re.findall(r'data-part="([^"]+)"', page))
    templates = set(re.findall(r'<template id="([^"]+)"', page))
    code = {path.name: re.sub(r"//.*", "", path.read_text()) for path in FOLDER.rglob("*.js")}
    uses = r"""\$\("([\w-]+)"|(?<!\w)parts(?:\.(?!map\b|length\b|join\b)(\w+)|\["([\w-]+)"\])"""
    parts |= {part for text in code.values() for part in re.findall(r'count: "([\w-]+)"', text)}
    named = {file: {"".join(found) for found in re.findall(uses, text)} for file, text in code.items()}
    assert {file: sorted(names - parts) for file, names in named.items() if names - parts} == {}
    assert {name for text in code.values() for name in re.findall(r'stamp\("([\w-]+)"\)', text)} == templates


def test_each_element_that_a_video_touches_is_in_its_tile_and_in_use() -> None:
    """The checklist is the template itself: what is in it is drawn by some module, and the tile draws nothing else."""
    page = document(FOLDER)
    template = page.partition('<template id="tile-template">')[2].partition("</template>")[0]
    parts = set(re.findall(r'data-part="([^"]+)"', template))
    code = "".join(path.read_text() for path in FOLDER.rglob("*.js"))
    assert parts >= {"video", "still", "stills", "snapshot", "overlay", "state", "resolution", "codec", "hint"}
    assert [part for part in sorted(parts) if not re.search(rf"(?<![\w-]){part}(?![\w-])", code)] == []
    tile = re.sub(r"//.*", "", (FOLDER / "panels" / "wall" / "tile.js").read_text())
    drawn = {"".join(found) for found in re.findall(r"""(?<!\w)parts(?:\.(\w+)|\["([\w-]+)"\])""", tile)}
    assert drawn <= parts
    assert drawn > {"video", "overlay", "resolution"}


def documents() -> str:
    """The page, and the page of the setup link."""
    return document(FOLDER) + (FOLDER / SETUP).read_text()


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", block))


@pytest.mark.parametrize("theme", [":root {", '[data-theme="light"] {'])
def test_every_text_colour_can_be_read_on_every_ground(theme: str) -> None:
    """At least 4.5 to 1 (WCAG 1.4.3), for what is painted on canvases, too, which no other check sees."""
    found = colours((FOLDER / "styles" / "tokens.css").read_text().partition(theme)[2].partition("}")[0])
    inks = [name for name in found if name in INKS or name.startswith("--category")]
    pairs = [(ink, ground) for ink in inks for ground in GROUNDS] + [("--on-accent", "--accent")]
    assert len(inks) == len(INKS) + 4
    poor = {pair: round(contrast(found[pair[0]], found[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}


def test_no_token_is_set_twice_in_a_block() -> None:
    """The second would silently win."""
    blocks = re.findall(r"\{([^{}]*)\}", (FOLDER / "styles" / "tokens.css").read_text())
    names = [re.findall(r"(--[\w-]+):", block) for block in blocks]
    assert [sorted({name for name in each if each.count(name) > 1}) for each in names] == [[] for _ in names]
    assert max(len(each) for each in names) > 20


GROUNDS = ("--ground", "--surface", "--raised", "--sunken")
INKS = {
    "--ink", "--ink-soft", "--accent", "--live", "--queued", "--connecting", "--stalled", "--waiting", "--failed",
    "--quarantined", "--idle",
}  # fmt: skip


def contrast(one: str, other: str) -> float:
    """The ratio of two colours like #0f1314 (WCAG 2.2, contrast ratio)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
