"""The document of the dashboard, put together from its frame and its panels.

Rules of this file:
- `panels/table.js` lists the panels; each is a folder `panels/NAME/`, with `NAME.html` if it has an element.
- The HTML of a panel takes the place of the comment `<!-- panel: NAME -->` in `index.html`. Without this comment the
  panel is a view of the drawer: it takes the place of `<!-- views -->`, in the order of the table.
- `<!-- styles -->` becomes links to the style sheets in the folders of the panels.
- A line of the table may name the part that its panel belongs to: `// part: NAME`. While this part is off, the page has
  neither the line nor anything else of the panel.
- A script is sent with the Japanese words that it imports (`JA`), instead of the import: at a first visit, each file
  takes the daemon 1 ms.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

TABLE = "panels/table.js"
_ENTRY = re.compile(r'^import "\./([\w-]+)/\1\.js";(?: // part: ([\w-]+))?\n', re.MULTILINE)
_WORDS = re.compile(r'^import \{ JA \} from "\./([\w./-]+\.js)";\n', re.MULTILINE)
_STATEMENT = re.compile(r"^(?:import|export|const|let|function)\b(?: const \w+ =)?", re.MULTILINE)
_SLOT = re.compile(r" *<!-- (panel|views|styles)(?:: ([\w-]+))? -->\n")


def panels_of(files: Mapping[str, str]) -> dict[str, str]:
    """Return the panels in the order of the table, each with its part; empty for one that is always there."""
    return dict(_ENTRY.findall(files.get(TABLE, "")))


def table_without(off: Collection[str], table: str) -> str:
    """Return the table without the panels of the parts in `off`."""
    return _ENTRY.sub(lambda line: "" if line[2] in off else line[0], table)


def with_words(path: str, scripts: Mapping[str, str]) -> str:
    """Return the script at `path` with the words that it imports; `scripts` are the texts of all by their paths."""

    def words(found: re.Match[str]) -> str:
        text = scripts.get((PurePosixPath(path).parent / found[1]).as_posix(), "")
        return (
            text.replace("export const JA", "const JA", 1)
            if _STATEMENT.findall(text) == ["export const JA ="]
            else found[0]
        )

    return _WORDS.sub(words, scripts[path])


def document(folder: Path, off: Collection[str] = ()) -> str:
    """Return the page of the dashboard in `folder`, without the parts in `off`."""
    paths = [path for kind in ("js", "html", "css") for path in folder.rglob(f"*.{kind}")]
    files = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}
    return assemble(files | {TABLE: table_without(off, files.get(TABLE, ""))})


def assemble(files: Mapping[str, str]) -> str:
    """Return the page; `files` are the texts of the dashboard by their paths below its folder."""
    frame = files["index.html"]
    names = list(panels_of(files))
    placed = {slot[2] for slot in _SLOT.finditer(frame)}
    html = {name: files.get(f"panels/{name}/{name}.html", "") for name in names}
    views = "".join(html[name] for name in names if name not in placed)
    sheets = [path for name in names for path in sorted(files) if re.fullmatch(rf"panels/{name}/[^/]+\.css", path)]
    styles = "".join(f'<link rel="stylesheet" href="dashboard/{path}">\n' for path in sheets)

    def fill(slot: re.Match[str]) -> str:
        return {"panel": html.get(slot[2], ""), "views": views, "styles": styles}[slot[1]]

    return _SLOT.sub(fill, frame)
