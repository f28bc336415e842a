"""The SSRC of each track in `RTP-Info`."""

import pytest

from actors.sources.rtsp.rtp_info import read_ssrcs

URL = "rtsp://192.0.2.1/main"
TRACKS = (f"{URL}/track1", f"{URL}/track2")


@pytest.mark.parametrize("base", [f"{URL}/", "rtsp://10.0.0.9/inner/", "/", ""])
def test_entries_name_the_tracks_by_their_addresses(base: str) -> None:
    """Audio comes first, with an absolute address of any host or a relative one. The whole is no track."""
    text = f"url={base}track2;seq=1;ssrc=bb,url={base}track1;seq=1;ssrc=0xAA,url={URL};ssrc=cc"
    assert read_ssrcs(text, TRACKS) == {0: 0xAA, 1: 0xBB}


@pytest.mark.parametrize("text", ["", "url=x", "ssrc=1", f"url={TRACKS[0]};ssrc=zz", f"url={TRACKS[0]};ssrc=123456789"])
def test_entry_without_an_address_or_a_number_names_none(text: str) -> None:
    """The first source that goes on is then the one of the track."""
    assert read_ssrcs(text, TRACKS) == {}


def test_address_that_fits_two_tracks_names_none() -> None:
    """Their addresses differ only at the beginning."""
    assert read_ssrcs("url=x;ssrc=1", ("rtsp://a/x", "rtsp://b/x")) == {}
    assert read_ssrcs("url=x;ssrc=1", ()) == {}
