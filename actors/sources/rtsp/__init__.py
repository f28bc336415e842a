"""`rtsp://` and `rtsps://`: a camera, read by ourselves; its pictures and its sound are passed on as they come.

    source ── bytes ──▶ session ──▶ messages    requests, answers, interleaved frames
    (trio)                 │   └──▶ auth, sdp, choice
                           └──▶ rtp ──▶ video, audio (depacketizers) ──▶ hub
                                 └──▶ rtcp, timeline

Everything but `source` and `udp` is pure: bytes and times in, bytes and media out.
"""

from .address import DEFAULT_PORT, check, host_and_port
from .source import run

__all__ = ["DEFAULT_PORT", "check", "host_and_port", "run"]
