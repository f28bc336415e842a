"""The document of the dashboard is collected from the table of panels; a new panel is a folder and a line there."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.chromium import open_chromium
from tests.kit.site import open_site
from web.app import WebSettings
from web.document import TABLE as TABLE_FILE
from web.document import assemble, document, panels_of, table_without, with_words
from web.parts import PARTS, part_of
from web.resources import page as pages
from web.resources.page import FOLDER

TABLE = 'import "./wall/wall.js";\nimport "./toys/toys.js";\nimport "./bare/bare.js";\n'
FRAME = "<!-- styles -->\n<body>\n  <!-- panel: wall -->\n<nav>\n  <!-- views -->\n</nav>\n"

TOY = {
    "test-toy.js": """import { n, t } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./test-toy.ja.js";

export const panel = definePanel({
  id: "test-toy",
  title: n("Test toys"),
  past: true,
  words: JA,
  shortcuts: [{ keys: ["§"], says: n("test toys at home") }],
  mount(root) {
    root.append(Object.assign(document.createElement("p"), { className: "toy" }));
    return {
      state({ cameras }) {
        root.firstElementChild.textContent = t("{count} test toys", { count: cameras.length });
      },
    };
  },
});
""",
    "test-toy.ja.js": """export const JA = {
  "Test toys": "玩具",
  "test toys at home": "家の玩具",
  "{count} test toys": "{count} 個",
};
""",
    "test-toy.css": "@layer test-toy { .toy { border-left: 7px solid; } }\n",
}
PAST, LINE = 'import "./past/past.js";\n', 'import "./test-toy/test-toy.js";\n'


def test_script_is_sent_with_the_words_that_it_imports() -> None:
    """One that imports something else, or words that are more than words, stays as it is."""
    words = "export const JA = { a: 1 };\n"
    main = 'import { t } from "./t.js";\nimport { JA } from "./x.ja.js";\nuse(JA, t);\n'
    scripts = {"x/x.js": main, "x/x.ja.js": words, "t.js": 'import { t } from "./x/x.ja.js";\n'}
    assert with_words("x/x.js", scripts) == 'import { t } from "./t.js";\nconst JA = { a: 1 };\nuse(JA, t);\n'
    assert with_words("x/x.ja.js", scripts) == words
    assert with_words("t.js", scripts) == scripts["t.js"]
    assert with_words("x/x.js", {**scripts, "x/x.ja.js": f'import "./y.js";\n{words}'}) == main


async def test_no_page_loads_a_file_of_words() -> None:
    """At a first visit each file costs time, in English, too."""
    async with open_site() as site:
        for path in sorted(FOLDER.rglob("*.js")):
            name = path.relative_to(FOLDER).as_posix()
            text = (await site.get(f"/dashboard/{name}")).text
            assert "ja.js" not in "".join(line for line in text.splitlines() if line.startswith("import")), name


def test_panel_takes_the_place_that_the_frame_names_or_joins_the_views() -> None:
    """In the order of the table, with the style sheets of its folder; a panel may have neither."""
    files = {
        "index.html": FRAME,
        "panels/table.js": TABLE,
        "panels/wall/wall.html": "<main>\n",
        "panels/wall/tile.css": "",
        "panels/toys/toys.html": "<div>\n",
        "panels/toys/deep/toys.css": "",
    }
    assert list(panels_of(files)) == ["wall", "toys", "bare"]
    sheet = '<link rel="stylesheet" href="dashboard/panels/wall/tile.css">\n'
    assert assemble(files) == f"{sheet}<body>\n<main>\n<nav>\n<div>\n</nav>\n"


def test_every_folder_of_a_panel_is_in_the_table_and_every_file_in_the_document() -> None:
    """A panel that is forgotten there would be dead code."""
    names = {path.name for path in (FOLDER / "panels").iterdir() if path.is_dir()}
    files = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}
    assert set(panels_of(files)) == names
    page = document(FOLDER)
    sheets = {path for path in files if path.endswith(".css")}
    assert set(re.findall(r'href="dashboard/([^"]+\.css)"', page)) == sheets
    assert [
        name for name in names if f"panels/{name}/{name}.html" in files and f'data-panel="{name}"' not in page
    ] == []


def test_line_of_a_part_that_is_off_is_not_in_the_table() -> None:
    """The other lines are the same, byte for byte."""
    line = 'import "./toys/toys.js"; // part: toys\n'
    table = TABLE.replace('import "./toys/toys.js";\n', line)
    assert panels_of({TABLE_FILE: table}) == {"wall": "", "toys": "toys", "bare": ""}
    assert table_without({"toys"}, table) == table.replace(line, "")
    assert table_without({"rooms"}, table) == table


def test_panel_names_the_part_whose_routes_it_asks() -> None:
    """No other file of the page asks them, or imports a file of such a panel: it is not there when the part is off."""
    files = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.js")}
    panels = panels_of(files)
    assert set(panels.values()) - {""} <= set(PARTS)
    found: list[tuple[str, str]] = []
    for path, text in files.items():
        own = part_of_file(path, panels)
        asked = {part_of(f"/{each}") for each in re.findall(r"""["'`]((?:api|ws)/[\w/]*)""", text)}
        imported = {part_of_file(each, panels) for each in imports_of(path, text)}
        found += [(path, part) for part in (asked | imported) - {None, "", own} if path != TABLE_FILE and part]
    assert found == []
    assert set(panels.values()) == {"", "rooms", "detections"}


def part_of_file(path: str, panels: dict[str, str]) -> str:
    """The part of the panel whose folder has the file; empty for any other file."""
    folder = re.match(r"panels/([\w-]+)/", path)
    return panels[folder[1]] if folder else ""


def imports_of(path: str, text: str) -> Iterator[str]:
    """The paths of the modules that a module imports."""
    for name in re.findall(r'^(?:import|export) (?:[^"]*? from )?"(\.[^"]+)";', text, re.MULTILINE):
        yield (FOLDER / path).parent.joinpath(name).resolve().relative_to(FOLDER).as_posix()


@pytest.mark.parametrize("part", ["rooms", "detections"])
async def test_page_has_no_panel_of_a_part_that_is_off(part: str) -> None:
    """Neither its HTML, its style sheets nor its line of the table; the hash is another one."""
    async with open_site() as whole, open_site(settings=WebSettings(off=frozenset({part}))) as site:
        full, page = [(await each.get("/")).text for each in (whole, site)]
        table = (await site.get(f"/dashboard/{version_of(page)}/{TABLE_FILE}")).text
    gone = {name for name, other in panels_of({TABLE_FILE: (FOLDER / TABLE_FILE).read_text()}).items() if other == part}
    assert gone
    for name in gone:
        assert f'data-panel="{name}"' in full
        assert f'data-panel="{name}"' not in page
        assert f"/panels/{name}/" not in page
        assert f"./{name}/" not in table
    assert version_of(page) != version_of(full)


def version_of(page: str) -> str:
    found = re.search(r'"dashboard/([0-9a-f]{16})/main\.js"', page)
    assert found is not None
    return found[1]


@pytest.mark.usefixtures("chromium_here")
async def test_new_panel_is_one_folder_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser shows its title, content, style and shortcut, and its words in Japanese."""
    folder = tmp_path / "dashboard"
    shutil.copytree(FOLDER, folder)
    table = folder / "panels" / "table.js"
    before = table.read_text()
    table.write_text(before.replace(PAST, LINE + PAST))
    assert len(table.read_text().splitlines()) == len(before.splitlines()) + 1
    (folder / "panels" / "test-toy").mkdir()
    for name, text in TOY.items():
        (folder / "panels" / "test-toy" / name).write_text(text)
    monkeypatch.setattr(pages, "FOLDER", folder)

    opener = "document.querySelector('[data-part=open-test-toy]')"
    view = "document.querySelector('#view-test-toy')"
    listed = "[...document.querySelectorAll('[data-part=help-list] > div')].map((row) => row.innerText)"
    async with open_site() as site, open_chromium() as browser, browser.open_page(site.url) as page:
        for title, text, key in (("Test toys", "1 test toys", "test toys at home"), ("玩具", "1 個", "家の玩具")):
            await page.wait_for(f"{opener}?.innerText.trim() === '{title}' && {opener}.title === '{title} (§)'")
            await page.press("§")
            await page.wait_for(f"{view}.checkVisibility() && {view}.ariaLabel === '{title}'")
            await page.wait_for(f"{view}.innerText === '{text}'")
            assert await page.evaluate(f"getComputedStyle({view}.firstElementChild).borderLeftWidth") == "7px"
            await page.press("§")
            await page.wait_for(f"!{view}.checkVisibility()")
            await page.press("?")
            await page.wait_for(f"{listed}.some((row) => row.startsWith('§') && row.includes('{key}'))")
            await page.evaluate("localStorage.setItem('banken.language', 'ja')")
            await page.reload()
        assert [line for line in page.console if line.kind == "uncaught"] == []
