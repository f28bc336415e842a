"""Times and text as the report and the files of a bundle show them."""

import html
from datetime import UTC, datetime

from ..printable import printable_lines


def moment(wall_ns: int) -> str:
    """A time in UTC, to the millisecond, as ISO 8601."""
    whole, rest = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def clock(wall_ns: int) -> str:
    """The time of day of a time, in UTC, to the millisecond."""
    return moment(wall_ns)[11:-1]


def escaped(text: object) -> str:
    """`text` as a page or a drawing may hold it, whoever wrote it: no markup, and nothing that turns a line around."""
    return html.escape(printable_lines(str(text).replace("\t", " ")))
