"""The folder of a draft is gone after its block, wherever an exception was raised."""

import shutil
import sys
from itertools import count
from pathlib import Path
from types import FrameType

from supervisor.forensics.incident import draft


def test_exception_at_any_line_leaves_no_folder(tmp_path: Path) -> None:
    """A signal raises one between any two lines: before the folder exists, in the block, and in the removal."""
    files = {draft.__file__, shutil.__file__, __file__}
    for at in count(1):
        left = at

        def trace(frame: FrameType, event: str, _: object) -> object:
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            left -= event == "line"
            if not left:
                raise SystemExit(143)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            with draft.draft_folder(tmp_path, "new") as folder:
                (folder / "file").touch()
        except (SystemExit, OSError):  # shutil closes a descriptor twice if it is interrupted in between
            pass
        finally:
            sys.settrace(before)
        assert [*tmp_path.iterdir()] == [], f"line {at}"
        if left > 0:
            break
    assert at > 20
