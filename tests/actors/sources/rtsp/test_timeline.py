"""Two clocks of a camera on one timeline."""

from actors.sources.rtsp.rtcp import SenderReport
from actors.sources.rtsp.timeline import Sync, Timeline

WRAP = 1 << 32


def synced(rate: int = 8000) -> tuple[Timeline, Timeline, Sync]:
    video, audio = Timeline(90_000), Timeline(rate)
    return video, audio, Sync(video, audio)


def at(now: float, *timelines: Timeline) -> None:
    for timeline in timelines:
        timeline.now = now


def test_a_wrap_is_no_leap() -> None:
    timeline = Timeline(90_000)
    first = timeline.pts(WRAP - 1500)
    timeline.now = 1 / 30
    assert timeline.pts(1500) == first + 3000
    assert timeline.epoch == 0


def test_a_clock_of_another_rate_is_counted_in_ours() -> None:
    assert Timeline(48_000).pts(960) == 1800
    timeline = Timeline(8000)
    assert timeline.pts(960) - timeline.pts(160) == 9000


def test_a_leap_goes_on_where_the_time_of_arrival_says() -> None:
    timeline = Timeline(90_000)
    first = timeline.pts(1000)
    timeline.now = 2.0
    assert timeline.pts(3_000_000_000) == first + 180_000
    assert timeline.epoch == 1


def test_another_sender_goes_on_where_the_time_of_arrival_says() -> None:
    timeline = Timeline(90_000)
    first = timeline.pts(1000)
    timeline.restart()
    timeline.now = 1.0
    assert timeline.pts(1500) == first + 90_000


def test_before_any_report_what_arrives_together_belongs_together() -> None:
    video, audio, sync = synced()
    assert sync.audio_pts(5) is None
    at(1.0, video, audio)
    shown = video.pts(900_000)
    at(1.5, video, audio)
    assert sync.audio_pts(4005) == shown + 45_000
    at(1.7, video, audio)
    assert sync.audio_pts(4005 + 160) == shown + 45_000 + 1800, "by its own clock, not by arrival"


def test_reports_of_both_move_the_sound_and_never_the_pictures() -> None:
    video, audio, sync = synced()
    at(1.0, video, audio)
    shown = video.pts(900_000)
    before = sync.audio_pts(8000)
    assert before == shown
    video.hear(SenderReport(1, 5000.0, 900_000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == before, "one report alone says nothing"
    audio.hear(SenderReport(2, 5000.5, 8000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == shown + 45_000, "the camera heard it half a second after it saw that"
    assert video.pts(903_000) == shown + 3000


def test_clocks_that_cannot_be_are_not_believed() -> None:
    video, audio, sync = synced()
    at(1.0, video, audio)
    shown, heard = video.pts(900_000), sync.audio_pts(8000)
    video.hear(SenderReport(1, 5000.0, 900_000, 0))
    audio.hear(SenderReport(2, 9000.0, 8000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == heard == shown


def test_drifting_clocks_do_not_move_the_sound_for_nothing() -> None:
    video, audio, sync = synced()
    at(1.0, video, audio)
    video.pts(900_000)
    heard = sync.audio_pts(8000)
    video.hear(SenderReport(1, 5000.0, 900_000, 0))
    audio.hear(SenderReport(2, 5000.01, 8000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == heard


def test_a_sound_that_begins_a_new_count_is_aligned_anew() -> None:
    video, audio, sync = synced()
    video.pts(900_000)
    sync.audio_pts(8000)
    audio.restart()
    at(2.0, video, audio)
    shown = video.pts(1_080_000)
    assert sync.audio_pts(4_000_000_000) == shown
