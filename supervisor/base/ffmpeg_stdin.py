"""Passes an address to ffmpeg on its standard input, because every user of the machine can read its arguments.

ffmpeg reads a playlist with one entry (its demuxer `concat`) as it reads the entry itself. An option before the
address would apply to the playlist, so an address is passed in this way only if no option precedes it.
"""

import re
from collections.abc import Sequence

from .redact import redact

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_PROTOCOLS = "pipe,fd,http,https,tls,rtp,tcp,udp,crypto,httpproxy,data"
"""The protocols that ffmpeg allows for the content of an http:// address, and the pipe."""
_PLAYLIST = ("-f", "concat", "-safe", "0", "-protocol_whitelist", _PROTOCOLS, "-i", "pipe:0")


def hand_over(arguments: Sequence[str], secrets: Sequence[str] = ()) -> tuple[tuple[str, ...], bytes]:
    """Return the arguments of ffmpeg without a secret address at their beginning, and its standard input.

    `arguments` come from the operator: input and coding. Only an http:// or https:// address that follows `-i` as the
    first argument is removed, and only if `redact` hides a part of it. Otherwise the standard input is empty.
    """
    match arguments:
        case ["-i", address, *others] if _ADDRESS.match(address) and redact(address, secrets) != address:
            quoted = address.replace("'", r"'\''")
            return (*_PLAYLIST, *others), f"ffconcat version 1.0\nfile '{quoted}'\n".encode()
    return tuple(arguments), b""


def shows_secrets(arguments: Sequence[str], secrets: Sequence[str] = ()) -> bool:
    """Whether the arguments that every user can read still contain text that `redact` hides."""
    text = " ".join(hand_over(arguments, secrets)[0])
    return redact(text, secrets) != text
