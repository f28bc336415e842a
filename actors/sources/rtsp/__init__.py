"""`rtsp://` and `rtsps://`: a camera, read directly; video and audio pass through unchanged.

    source ── bytes ──▶ session ──▶ messages ──▶ exchange    requests and their responses
    (trio)                 │                        ▲
                           │     conversation, setup    their order, with auth, sdp, choice, memory
                           │            │
                           │            ▼
                           └────────▶ tracks ──▶ rtp ──▶ video, audio (depacketizers) ──▶ hub
                                                  └──▶ rtcp, timeline

`source`, `tunnel` and `udp` touch the network. The others get bytes and times, and give bytes and media. `encrypted`
also loads its cipher in a thread, and `memory` writes into the hub.
"""

from .address import DEFAULT_PORT, check, host_and_port
from .source import run
from .transport import silence_advice

__all__ = ["DEFAULT_PORT", "check", "host_and_port", "run", "silence_advice"]
