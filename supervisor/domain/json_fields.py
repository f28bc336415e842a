"""The fields of a JSON object as text: finds one that is given twice.

Two parsers may read such an object differently, and a decoder keeps one of the values without a word (RFC 8259,
section 4).
"""

import re

import msgspec

_STRING = re.compile(rb'("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+(:?)', re.DOTALL)
"""A string, and the colon behind it if it is the name of a field."""


def doubled_field(data: bytes | str) -> str | None:
    """The first field that is given twice; None if each is given once.

    Args:
        data: valid JSON: an object without objects inside, or another value.

    Linear in time. It ends at the first such field, so it reads few names where the known fields are few.
    """
    seen = set()
    for found in _STRING.finditer(data.encode() if isinstance(data, str) else data):
        if not found[2]:
            continue
        name = msgspec.json.decode(found[1], type=str)
        if name in seen:
            return name
        seen.add(name)
    return None
