"""The choice among a camera's media, and its parameter sets."""

from base64 import b64encode

import pytest

from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.jpeg import JPEG
from actors.media.mpeg4 import MPEG4, split_picture
from actors.media.oddities import Oddity
from actors.sources.rtsp import sdp
from actors.sources.rtsp.choice import MAX_SPROP, MAX_VIDEOS, Video, choose_audio, choose_videos, split_sprop
from actors.sources.rtsp.reasons import OUT_OF_ORDER, Ended
from tests.kit.media import access_units, h265_units, mpeg4_pictures

SPS, PPS = access_units()[0][:2]
CODE = b"\0\0\0\1"
H264_MEDIA = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:main\n"


def text(*units: bytes) -> str:
    return b64encode(b"".join(units)).decode()


def choose(*media: str) -> Video:
    return choose_videos(sdp.parse("".join(media).encode()))[0]


@pytest.mark.parametrize(
    "name", ["H264", "h264", "H.264", "h.264", "X-H264", "AVC1", "H264-SVC", "H265", "h.265", "HEVC", "hvc1"]
)
def test_spellings_of_codecs(name: str) -> None:
    """Each spelling is read as the codec it means."""
    assert choose(H264_MEDIA.replace("H264", name)).codec is (H264 if "4" in name or "AVC" in name else H265)


def test_usable_videos_are_in_order_of_preference() -> None:
    """Layers of SVC, inactive and encrypted media come last; other codecs are left out, and each media comes once."""
    other = "m=video 0 RTP/AVP 34\na=control:other\n"
    inactive = H264_MEDIA.replace("main", "inactive") + "a=inactive\n"
    layers = H264_MEDIA.replace("H264", "H264-SVC").replace("main", "layers")
    both = "m=video 0 RTP/AVP 96 97\na=rtpmap:96 H264/90000\na=rtpmap:97 H265/90000\na=control:both\n"
    hevc = H264_MEDIA.replace("H264", "H265").replace("main", "hevc")
    found = choose_videos(sdp.parse(("v=0\n" + layers + other + inactive + both + hevc + H264_MEDIA).encode()))
    assert [video.media.control for video in found] == ["both", "hevc", "main", "inactive"]
    assert [video.codec for video in found] == [H264, H265, H264, H264]
    assert len(found) == MAX_VIDEOS


@pytest.mark.parametrize("name", ["JPEG", "jpeg", "MJPEG", "MP4V-ES", "mp4v-es"])
def test_old_codecs_come_behind_all_others(name: str) -> None:
    """Browsers show them transcoded only. Within one media, H.264 is chosen, too."""
    old = H264_MEDIA.replace("H264", name).replace("main", "old")
    codec = JPEG if "J" in name.upper() else MPEG4
    assert choose(old).codec is codec
    found = choose_videos(sdp.parse(f"v=0\n{old}{H264_MEDIA}".encode()))
    assert [(video.media.control, video.codec) for video in found] == [("main", H264), ("old", codec)]
    both = f"m=video 0 RTP/AVP 96 97\na=rtpmap:96 {name}/90000\na=rtpmap:97 H264/90000\n"
    assert choose(both).codec is H264
    odd = H264_MEDIA.replace("H264", "H265") + "a=fmtp:96 sprop-max-don-diff=2\n"
    assert choose(odd, old).codec is codec


def test_jpeg_has_its_own_number() -> None:
    """26 needs no name (RFC 3551), and JPEG has no parameter sets."""
    video = choose("m=video 0 RTP/AVP 26\n")
    assert (video.codec, video.parameter_sets(), video.oddities()) == (JPEG, [], frozenset[Oddity]())


def test_configuration_of_mpeg4_is_read() -> None:
    """In hexadecimal digits; anything else has none, and it comes in band."""
    configuration, _ = split_picture(mpeg4_pictures()[0])
    media = "m=video 0 RTP/AVP 96\na=rtpmap:96 MP4V-ES/90000\na=fmtp:96 profile-level-id=1; config="
    for text in (configuration.hex(), configuration.hex().upper(), f'"{configuration.hex()}"'):
        assert choose(media, text, "\n").parameter_sets() == [configuration]
    for text in ("", "zz", "0", "00" * 2000, "1234", configuration.hex()[:-1]):
        assert choose(media, text, "\n").parameter_sets() == []


@pytest.mark.parametrize("protocol", ["TCP/RTP/AVP", "RTP/AVP/TCP", "RTP/AVPF", "AVP", "RTP"])
def test_unusual_protocols_are_read(protocol: str) -> None:
    """The video is chosen; only names that no standard has are reported."""
    odd = choose(H264_MEDIA.replace("RTP/AVP", protocol)).oddities()
    assert odd == (set() if protocol == "RTP/AVPF" else {Oddity.ODD_PROTOCOL})


def test_main_stream_is_chosen_among_several() -> None:
    """The first H.264 counts, whatever precedes it, and a plain one before layers and inactive ones."""
    before = "m=video 0 RTP/AVP 26\nm=video 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n"
    layers = H264_MEDIA.replace("H264", "H264-SVC").replace("main", "layers")
    idle = H264_MEDIA.replace("main", "idle") + "a=inactive\n"
    chosen = choose(before, layers, idle, H264_MEDIA, H264_MEDIA.replace("main", "sub"))
    assert chosen.media.control == "main"
    assert choose(idle).media.control == "idle", "there is no other"


@pytest.mark.parametrize("rate", ["90000", "90", "8000", "0", "x"])
def test_video_has_one_clock_rate(rate: str) -> None:
    """H.264 is read with 90 kHz, whatever is announced; other values are reported."""
    assert (Oddity.CLOCK_RATE in choose(H264_MEDIA.replace("90000", rate)).oddities()) == (rate != "90000")


def test_packetization_mode_2_is_tried() -> None:
    """Cameras that announce it send mode 1."""
    assert choose(H264_MEDIA, "a=fmtp:96 packetization-mode=2\n").oddities() == {Oddity.OTHER_MODE}


@pytest.mark.parametrize(
    ("sprop", "is_odd"),
    [
        (f"{text(SPS)},{text(PPS)}", False),
        (f"{text(PPS)},{text(SPS)}", False),
        (f'"{text(SPS)},{text(PPS)}"', False),
        (f"{text(CODE, SPS)},{text(CODE, PPS)}", True),
        (f"{text(CODE[1:], SPS)},{text(CODE[1:], PPS)}", True),
        (text(CODE, SPS, CODE, PPS), True),
        (text(SPS, CODE, PPS), True),
        (f"{text(CODE, SPS, CODE, PPS)},", True),
        (f"{text(SPS).rstrip('=')},{text(PPS).rstrip('=')}", True),
        (f"{text(SPS)}==,{text(PPS)}=", True),
        (f"{text(SPS)[:6]} {text(SPS)[6:]}, {text(PPS)}", True),
        (f"{text(SPS)} {text(PPS)}", True),
        (f"{text(SPS)}{text(PPS)}" if text(SPS).endswith("=") else f"{text(SPS)}=={text(PPS)}", True),
        (f"{text(SPS).replace('+', '-').replace('/', '_')}=,{text(PPS).replace('+', '-').replace('/', '_')}=", True),
        (f"%%,{text(SPS)},{text(PPS)},{text(b'abcdef')}", True),
    ],
)
def test_parameter_sets_of_any_form_are_read(sprop: str, is_odd: bool) -> None:
    """Start codes, quotes, spaces, wrong padding and joined sets are repaired; other units are left out."""
    video = choose(H264_MEDIA, f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\n")
    assert sorted(video.parameter_sets()) == sorted([SPS, PPS])
    assert (Oddity.ODD_PARAMETER_SETS in video.oddities()) == is_odd


def test_parameter_sets_of_h265_in_wrong_parameters_are_read() -> None:
    """All three in the parameter of one, with start codes."""
    sets = h265_units(64, 64)[0][:3]
    joined = text(*(CODE + unit for unit in sets))
    video = choose(H264_MEDIA.replace("H264", "H265"), f"a=fmtp:96 sprop-vps={joined}\n")
    assert video.parameter_sets() == list(sets)


def test_nothing_is_no_parameter_set() -> None:
    """Empty texts and texts that decode to nothing give none."""
    assert [split_sprop(each, H264) for each in ("", "=", "a", "%", "AAAA", "AAAB")] == [[]] * 6


def test_pieces_of_a_parameter_set_are_bounded() -> None:
    """Of thousands of texts with spaces between them, 64 are read."""
    assert len(split_sprop(" ".join([text(SPS)] * 1000), H264)) == MAX_SPROP


def reason(*media: str) -> str:
    with pytest.raises(Ended) as ended:
        choose(*media)
    return ended.value.reason.text


def test_reasons_are_true() -> None:
    """Each names the cause: another codec, interleaving, or a payload type without a name."""
    assert "H263, which cannot be passed on" in reason("m=video 0 RTP/AVP 34\n")
    assert "ffmpeg: source" in reason("m=video 0 RTP/AVP 34\n")
    assert reason(H264_MEDIA.replace("H264", "H265"), "a=fmtp:96 sprop-max-don-diff=2\n") == OUT_OF_ORDER.text
    assert "an unknown codec (payload type 96)" in reason("m=video 0 RTP/AVP 96\n")
    assert "an unknown codec (payload type 96)" in reason("m=video 0 RTP/AVP 96\na=rtpmap:96 S3CRET/90000\n")
    assert "an unknown codec," in reason("m=video 0 RTP/AVP\n")


def test_an_unencrypted_stream_is_preferred() -> None:
    """A camera that offers both is read without encryption."""
    safe = H264_MEDIA.replace("AVP", "SAVP").replace("main", "safe")
    assert choose(safe, H264_MEDIA).media.control == "main"
    assert choose(safe).media.control == "safe"


@pytest.mark.parametrize(
    ("media", "mute"),
    [
        ("", ""),
        ("m=audio 0 RTP/AVP 15\n", "its audio is G728, which cannot be passed on"),
        ("m=audio 0 RTP/AVP 97\n", "its audio is of an unknown codec (payload type 97), which cannot be passed on"),
    ],
)
def test_a_silent_camera_says_why(media: str, mute: str) -> None:
    """The codec or its number is named; without audio there is nothing to say."""
    assert choose_audio(sdp.parse((H264_MEDIA + media).encode())) == (None, mute)
