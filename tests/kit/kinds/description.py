"""Cameras whose description is odd: protocols, numbers, names, parameter sets, audio."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from ..cases.form import Audio, Case, Expect
from .streams import encode, fmtp, sets_of, without_sets
from .talk import AUDIO, HEAD, Kind, media, send, show, talk

ANJVISION = (
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=streamed by the RTSP server",
    "t=0 0",
    "a=range:npt=0-",
    "a=control:*",
)


def kinds() -> Iterator[Kind]:
    yield from _protocols()
    yield from _numbers()
    yield from _sets()
    yield from _lines()
    yield from _audio()


def described(body: Sequence[str], **other: Any) -> Case:
    return show(rules=talk(body), **other)


def _protocols() -> Iterator[Kind]:
    for name in ("TCP/RTP/AVP", "RTP/AVP/TCP", "RTP/AVPF", "rtp/avp", "RTP/AVP/UDP"):
        yield Kind(f"protocol {name}", f"m=video 0 {name} 96", "", described((*HEAD, *media(protocol=name))))


def _numbers() -> Iterator[Kind]:
    yield Kind(
        "rtpmap of another number", "m= says 96, rtpmap and fmtp say 97", "", described((*HEAD, *media(mapped="97")))
    )
    yield Kind("fmtp of another number", "fmtp says 97", "", described((*HEAD, *media(of="97"))))
    mode = fmtp("h264").replace("packetization-mode=1", "packetization-mode=2")
    yield Kind("packetization mode 2", "mode 2 is declared, mode 1 is sent", "", described((*HEAD, *media(fmtp=mode))))
    for name in ("h264/90000", "H264/90000/1", "H264", "H264/90000 ", "H.264/90000", "H264-SVC/90000", "H264/8000"):
        yield Kind(f"rtpmap {name!r}", f"a=rtpmap:96 {name}", "", described((*HEAD, *media(name=name))))
    yield Kind(
        "HEVC as a name",
        "a=rtpmap:96 HEVC/90000",
        "",
        show("h265", rules=talk((*HEAD, *media("h265", name="HEVC/90000")))),
    )
    yield Kind(
        "two payload types, the second is H.264",
        "m=video 0 RTP/AVP 97 96, rtpmap of 97 is unknown",
        "",
        described((*HEAD, *media(number="97 96"))),
    )
    jpeg = ("m=video 0 RTP/AVP 26", "a=control:trackID=9")
    yield Kind("JPEG in front of H.264", "the first video is JPEG", "", described((*HEAD, *jpeg, *media())))
    talkback = ("m=audio 0 RTP/AVP 0", "a=control:trackID=8", "a=sendonly")
    onvif = ("m=application 0 RTP/AVP 107", "a=control:trackID=7", "a=rtpmap:107 vnd.onvif.metadata/90000")
    yield Kind(
        "talkback and ONVIF data in front of the video",
        "audio marked sendonly, application data",
        "mediamtx#5074, go2rtc#1426",
        described(
            (*HEAD, *onvif, *talkback, *media()),
        ),
    )
    smart = ("m=application/TP-LINK 0 RTP/AVP smart/1/90000", "a=rtpmap:95 TP-LINK/90000", "a=control:track3")
    yield Kind(
        "TP-Link's own section",
        "m=application/TP-LINK",
        "moonfire-nvr#238 (TP-Link)",
        described((*HEAD, *media(), *smart)),
    )


def _sets() -> Iterator[Kind]:
    bare = send("h264", tuple(without_sets("h264", units) for units in encode("h264")))

    def sent(text: str, does: str, name: str, seen: str = "") -> Kind:
        parameters = f"packetization-mode=1;sprop-parameter-sets={text}"
        return Kind(f"parameter sets {name}", does, seen, described((*HEAD, *media(fmtp=parameters)), sent=bare))

    sets = sets_of("h264")
    plain = [base64.b64encode(unit).decode() for unit in sets]
    coded = [base64.b64encode(b"\0\0\0\1" + unit).decode() for unit in sets]
    yield sent(",".join(coded), "start codes in the base64; none comes in band", "with start codes", "moonfire-nvr#213")
    yield sent(
        ",".join(text.rstrip("=") for text in plain), "base64 without padding", "without padding", "moonfire-nvr#213"
    )
    yield sent(
        base64.b64encode(b"\0\0\0\1".join((b"", *sets))).decode(), "both in one, with start codes", "in one text"
    )
    yield sent(", ".join(plain), "a blank behind the comma", "with a blank")
    yield sent(",".join(reversed(plain)), "PPS in front of SPS", "in the other order")
    yield sent(",".join((*plain, "")), "a comma behind the last", "with a comma behind")
    yield sent(f'"{",".join(plain)}"', "in quotes", "in quotes")
    yield sent(" ".join(plain), "a blank between them", "without a comma")
    yield sent(f"{plain[0][:6]} {plain[0][6:]},{plain[1]}", "a blank within the base64", "with a blank inside")
    yield sent(",".join(f"{text}=" for text in plain), "more padding than needed", "with too much padding")


def _lines() -> Iterator[Kind]:
    body = (*HEAD, *media())
    yield Kind(
        "description without o=, s= and t=",
        "only v= and the media",
        "moonfire-nvr#238 (macrovideo)",
        described(("v=0", *media())),
    )
    yield Kind("description without v=", "begins with o=", "", described(body[1:]))
    odd_origin = ("v=0", "o=- 1 1 IN IP4", "s=", "c=IN IP4 0.0.0.0/127", "t=0 0", "a=control:*", *media())
    yield Kind("odd origin", "o= without an address", "go2rtc#1426, mediamtx#5292", described(odd_origin))
    yield Kind("blank lines", "an empty line between the sections", "", described((*HEAD, "", *media())))
    yield Kind(
        "unknown lines",
        "x-lines and lines without =",
        "",
        described((*HEAD, "x-vendor: y", "nonsense", *media(), "a=x-dimensions:128,96", "b=AS:5000")),
    )
    yield Kind(
        "direction of the video is sendonly", "a=sendonly, as a camera sees it", "", described((*body, "a=sendonly"))
    )
    yield Kind(
        "range with a clock",
        "a=range:clock=…",
        "",
        described((*ANJVISION[:4], "a=range:clock=20200101T000000Z-", "a=control:*", *media())),
    )


def _audio() -> Iterator[Kind]:
    aac = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408"
    forms = {
        "AAC": ("97", "mpeg4-generic/16000/1", f"97 {aac}", "aac", ""),
        "AAC, fmtp of another number": (
            "97",
            "mpeg4-generic/16000/1",
            f"96 {aac}",
            "aac",
            "mediacommon#144, mediamtx#3669 (HIK Media Server)",
        ),
        "AAC without the sizes of its fields": (
            "97",
            "mpeg4-generic/16000/1",
            "97 mode=AAC-hbr;config=1408",
            "aac",
            "",
        ),
        "AAC without a configuration": ("97", "mpeg4-generic/16000/1", f"97 {aac.rpartition(';')[0]}", "aac", ""),
        "AAC without a mode": ("97", "mpeg4-generic/16000/1", f"97 {aac.partition(';')[2]}", "aac", ""),
        "AAC with its configuration in quotes": (
            "97",
            "mpeg4-generic/16000/1",
            f"97 {aac.replace('1408', chr(34) + '1408' + chr(34))}",
            "aac",
            "",
        ),
        "AAC-lbr": (
            "97",
            "mpeg4-generic/16000/1",
            "97 mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2;config=1408",
            "aac",
            "",
        ),
        "AAC without parameters": ("97", "mpeg4-generic/16000/1", "", "aac", ""),
        "LATM": ("97", "MP4A-LATM/24000/2", "97 cpresent=0;object=2;config=400026203fc0", "aac", ""),
        "LATM, configured in band": ("97", "MP4A-LATM/90000", "97 cpresent=1", "latm", ""),
        "G.726": ("97", "G726-32/8000", "", "g726", ""),
        "G.726 of 16 kbit/s": ("97", "G726-16/8000", "", "g726", ""),
        "G.726 by its number only": ("2", "", "", "g726", ""),
        "G.726 in the order of AAL2": ("97", "AAL2-G726-32/8000", "", "aal2-g726", ""),
        "G.722": ("9", "G722/8000", "", "g722", ""),
        "L16 by its number only": ("11", "", "", "l16", ""),
        "L16 in stereo": ("97", "L16/48000/2", "", "l16", ""),
        "L24": ("97", "L24/48000/2", "", "l24", ""),
        "PCM of Hikvision": ("11", "PCM/48000", "", "pcm", "go2rtc (Hikvision)"),
        "MP2 or MP3": ("14", "MPA/90000", "", "mpa", ""),
        "PCMU of 16 kHz": ("97", "PCMU/16000", "", "pcmu", ""),
        "PCMA in stereo": ("97", "PCMA/8000/2", "", "pcma", ""),
        "PCMA": ("8", "PCMA/8000", "", "pcma", ""),
        "PCMU by its number only": ("0", "", "", "pcmu", ""),
    }
    for name, (number, mapped, parameters, codec, seen) in forms.items():
        lines = [f"m=audio 0 RTP/AVP {number}", "a=control:trackID=2"]
        lines += [f"a=rtpmap:{number} {mapped}"] if mapped else []
        lines += [f"a=fmtp:{parameters}"] if parameters else []
        rules = talk((*HEAD, *media(), *lines), audio=AUDIO)
        yield Kind(
            f"audio: {name}",
            mapped or f"payload type {number}",
            seen,
            show(rules=rules, expect=Expect(audio=Audio(codec))),
        )
    unknown = ("m=audio 0 RTP/AVP 99", "a=control:trackID=2", "a=rtpmap:99 X-SECRET/12345")
    yield Kind("audio that nobody knows", "a=rtpmap:99 X-SECRET/12345", "", described((*HEAD, *media(), *unknown)))
