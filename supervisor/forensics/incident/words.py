"""Times and text as the report and the files of a bundle show them."""

import html

from ...base.printable import printable_lines
from ...base.times import iso

PROVES = (
    "Names, addresses, browsers and labels were replaced. The journal was written again for that: the bundle proves "
    "that nothing was changed since its export. It does not prove what the daemon wrote, and has none of its seals."
)
"""The proof of an anonymized bundle."""


def clock(wall_ns: int) -> str:
    """The time of day of a time, in UTC, to the millisecond."""
    return iso(wall_ns)[11:]


def escaped(text: object) -> str:
    """`text` as a page or a drawing may hold it, whoever wrote it: no markup, and nothing that turns a line around."""
    return html.escape(printable_lines(str(text).replace("\t", " ")))
