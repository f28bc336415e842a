"""Profile and level of a video, from its sequence parameter set. Pure; for people, so nothing depends on it.

Source: ITU-T H.264 (08/2021), 7.3.2.1.1 and A.2 to A.3; ITU-T H.265 (08/2021), 7.3.3, A.3 and A.4.
"""

from .bitstream import unescape

_H264 = {
    66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2",
    244: "High 4:4:4 Predictive", 44: "CAVLC 4:4:4 Intra", 83: "Scalable Baseline", 86: "Scalable High",
    118: "Multiview High", 128: "Stereo High",
}  # fmt: skip
_H265 = {
    1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Format Range Extensions", 5: "High Throughput",
    9: "Screen Content Coding",
}  # fmt: skip
_LEVEL_1B = 9
_HEAD = 24
"""Bytes of a sequence parameter set that are read."""


def profile_and_level(codec: str, sps: bytes) -> tuple[str, str]:
    """Return profile and level as people write them, like `High` and `4.1`; empty where unknown.

    `codec` is `h264` or `h265`, `sps` a whole NAL unit.
    """
    if codec == "h264" and len(sps) >= 4:
        return _of_h264(*sps[1:4])
    if codec == "h265" and len(body := unescape(sps[2:_HEAD])) >= 13:
        return _of_h265(body[1], body[12])
    return "", ""


def _of_h264(profile: int, constraints: int, level: int) -> tuple[str, str]:
    name = _H264.get(profile, f"profile {profile}")
    if profile == 66 and constraints & 0x40:
        name = "Constrained Baseline"
    if profile == 100 and constraints & 0x0C == 0x0C:
        name = "Constrained High"
    is_1b = level == _LEVEL_1B or (level == 11 and constraints & 0x10 and profile in (66, 77, 88))
    return name, "1b" if is_1b else f"{level / 10:.1f}"


def _of_h265(first: int, level: int) -> tuple[str, str]:
    profile, is_high = first & 0x1F, first & 0x20
    name = _H265.get(profile, f"profile {profile}")
    return (f"{name}, High tier" if is_high else name), f"{level / 30:.1f}"
