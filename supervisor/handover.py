"""The address that ffmpeg reads from its standard input, because every user of the machine can read its arguments.

ffmpeg reads a playlist of one entry (its demuxer `concat`) as it reads the entry itself. An option in front of the
address would apply to the playlist, so an address is handed over in this way only where no option is in front of it.
"""

import re
from collections.abc import Sequence

from .redact import redact

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_PROTOCOLS = "pipe,fd,http,https,tls,rtp,tcp,udp,crypto,httpproxy,data"
"""Those that ffmpeg allows to the content of an http:// address, and the pipe."""
_PLAYLIST = ("-f", "concat", "-safe", "0", "-protocol_whitelist", _PROTOCOLS, "-i", "pipe:0")


def hand_over(arguments: Sequence[str], secrets: Sequence[str] = ()) -> tuple[tuple[str, ...], bytes]:
    """The arguments of ffmpeg without a secret address at their beginning, and its standard input, which may be empty.

    `arguments` are the operator's: input and coding. Only an http:// or https:// address right behind the first `-i`,
    which has to be the first argument, is taken out, and only if `redact` hides something of it.
    """
    match arguments:
        case ["-i", address, *others] if _ADDRESS.match(address) and redact(address, secrets) != address:
            quoted = address.replace("'", r"'\''")
            return (*_PLAYLIST, *others), f"ffconcat version 1.0\nfile '{quoted}'\n".encode()
    return tuple(arguments), b""


def shows_secrets(arguments: Sequence[str], secrets: Sequence[str] = ()) -> bool:
    """Whether something that `redact` hides is left among the arguments that everybody can read."""
    text = " ".join(hand_over(arguments, secrets)[0])
    return redact(text, secrets) != text
