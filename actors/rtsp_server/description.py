"""Describes the streams of one camera to its readers. Pure.

Rules of this file:
- The tracks follow from what the hub publishes: video first, then its audio if a payload format carries it unchanged.
- A reader that has this description gets nothing else. After a change of codec it has to ask again.

Source: RFC 8866 (SDP); RFC 6184 and 7798 (video); RFC 3551, 3640, 7587, 2250 and 3190 (audio); RFC 2326, appendix C.
"""

from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote

import attrs

from ..media.h264 import H264
from ..media.media import CLOCK_RATE, AudioFormat, VideoCodec

VIDEO, AUDIO = 0, 1
"""The numbers of the tracks."""
PAYLOAD_TYPE = 96
"""Of video."""
_DYNAMIC = {VIDEO: PAYLOAD_TYPE, AUDIO: 97}
_STATIC = {"pcmu": 0, "gsm": 3, "g723": 4, "pcma": 8, "g722": 9, "mpa": 14}
"""Payload types of RFC 3551, for one channel at their usual rate."""
_PCM = {"pcmu": "PCMU", "pcma": "PCMA", "l8": "L8", "l16": "L16", "l24": "L24"}
_USUAL = {"pcmu": 8000, "pcma": 8000}
MAX_FRAME = 65_507 - 12 - 4
"""Bytes of a frame of audio: with RTP header and the longest payload header, the most that a datagram carries."""
_MAX_AAC = (1 << 13) - 1


@attrs.frozen
class MediaTrack:
    """One RTP stream, as the description announces it."""

    number: int
    payload_type: int
    rtpmap: str
    fmtp: str = ""
    rate: int = CLOCK_RATE
    """Ticks per second of its RTP time stamps."""
    wrap: Callable[[bytes], bytes] = bytes
    """Makes the RTP payload of one frame of audio."""
    most: int = MAX_FRAME
    """Bytes of a frame of audio that its payload format carries in one packet. Larger ones are left out."""

    @property
    def control(self) -> str:
        return f"trackID={self.number}"


def video_track(codec: VideoCodec, units: tuple[bytes, ...]) -> MediaTrack:
    """`units`: the NAL units of a key frame with its parameter sets."""
    sets = {kind: [unit for unit in units if codec.nal_type(unit) == kind] for kind in codec.set_types}
    if codec is H264:
        sprop = ",".join(_base64(unit) for kind in codec.set_types for unit in sets[kind])
        profile = next((unit[1:4].hex().upper() for unit in sets[codec.sps_type] if len(unit) >= 4), "42001F")
        fmtp = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sprop}"
    else:
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        found = zip(names, codec.set_types, strict=True)
        fmtp = ";".join(f"{name}={','.join(map(_base64, sets[kind]))}" for name, kind in found)
    return MediaTrack(VIDEO, _DYNAMIC[VIDEO], f"{codec.name.upper()}/{CLOCK_RATE}", fmtp)


def audio_track(audio: AudioFormat) -> MediaTrack | None:
    """None for audio that no payload format carries unchanged."""
    number, rate, channels = _DYNAMIC[AUDIO], audio.rate, audio.channels
    usual = _USUAL.get(audio.codec, rate)
    if channels == 1 and rate == usual:
        number = _STATIC.get(audio.codec, number)
    shape = f"{rate}/{channels}" if channels > 1 else str(rate)
    if audio.codec in _PCM:
        return MediaTrack(AUDIO, number, f"{_PCM[audio.codec]}/{shape}", rate=rate)
    match audio.codec:
        case "opus":
            return MediaTrack(AUDIO, _DYNAMIC[AUDIO], "opus/48000/2", rate=48_000)
        case "aac" if audio.config:
            fmtp = (
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
                f"config={audio.config.hex().upper()}"
            )
            return MediaTrack(
                AUDIO, _DYNAMIC[AUDIO], f"MPEG4-GENERIC/{rate}/{channels}", fmtp, rate, _wrap_aac, _MAX_AAC
            )
        case "g722":  # its clock rate is 8000, although it has 16,000 samples per second (RFC 3551, section 4.5.2)
            return MediaTrack(AUDIO, number, f"G722/8000{f'/{channels}' if channels > 1 else ''}", rate=8000)
        case "g726" | "aal2-g726":
            name = f"{audio.codec.upper()}-{8 * (audio.bits or 4)}"
            return MediaTrack(AUDIO, _DYNAMIC[AUDIO], f"{name}/{shape}", rate=rate)
        case "mpa":
            return MediaTrack(AUDIO, _STATIC["mpa"], f"MPA/{CLOCK_RATE}", wrap=_wrap_mpa)
        case "gsm":
            return MediaTrack(AUDIO, _STATIC["gsm"], "GSM/8000", rate=8000)
        case "speex":
            return MediaTrack(AUDIO, _DYNAMIC[AUDIO], f"speex/{rate}", rate=rate)
        case _:
            return None


def describe(camera: str, tracks: tuple[MediaTrack, ...], session: int, host: str) -> bytes:
    """Return the SDP. `session`: a number for its origin. `host`: our IP address, as the reader has reached it."""
    family = "IP6" if ":" in host else "IP4"
    anywhere = "::" if ":" in host else "0.0.0.0"
    lines = [
        "v=0",
        f"o=- {session} {session} IN {family} {host}",
        f"s={camera}",
        f"c=IN {family} {anywhere}",
        "t=0 0",
        "a=control:*",
    ]
    for track in tracks:
        kind = "video" if track.number == VIDEO else "audio"
        lines += [f"m={kind} 0 RTP/AVP {track.payload_type}", f"a=rtpmap:{track.payload_type} {track.rtpmap}"]
        lines += [f"a=fmtp:{track.payload_type} {track.fmtp}"] if track.fmtp else []
        lines += [f"a=control:{quote(track.control, safe='=')}"]
    return "\r\n".join([*lines, ""]).encode()


def _wrap_aac(frame: bytes) -> bytes:
    """RFC 3640, section 3.3.6: one access unit, with a header of 13 bits for its size and 3 for its index."""
    return b"\x00\x10" + (len(frame) << 3).to_bytes(2) + frame


def _wrap_mpa(frame: bytes) -> bytes:
    """RFC 2250, section 3.5: a frame that is not split."""
    return bytes(4) + frame


def _base64(unit: bytes) -> str:
    return b64encode(unit).decode()
