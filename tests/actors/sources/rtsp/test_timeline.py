"""Two clocks of a camera on one timeline."""

from actors.sources.rtsp.rtcp import SenderReport
from actors.sources.rtsp.timeline import Sync, TrackTimeline

WRAP = 1 << 32


def synced(rate: int = 8000) -> tuple[TrackTimeline, TrackTimeline, Sync]:
    video, audio = TrackTimeline(90_000), TrackTimeline(rate)
    return video, audio, Sync(video, audio)


def at(now: float, *timelines: TrackTimeline) -> None:
    for timeline in timelines:
        timeline.now = now


def test_a_wrap_is_no_leap() -> None:
    """The time continues by 3000 ticks over the wrap of 32 bits."""
    timeline = TrackTimeline(90_000)
    first = timeline.pts(WRAP - 1500)
    timeline.now = 1 / 30
    assert timeline.pts(1500) == first + 3000
    assert timeline.epoch == 0


def test_a_clock_of_another_rate_is_counted_in_ours() -> None:
    """Ticks of 48 kHz and 8 kHz become 1/90000 s."""
    assert TrackTimeline(48_000).pts(960) == 1800
    timeline = TrackTimeline(8000)
    assert timeline.pts(960) - timeline.pts(160) == 9000


def test_a_leap_goes_on_where_the_time_of_arrival_says() -> None:
    """A step of hours, 2 s after the last packet, counts as 2 s and as a new epoch."""
    timeline = TrackTimeline(90_000)
    first = timeline.pts(1000)
    timeline.now = 2.0
    assert timeline.pts(3_000_000_000) == first + 180_000
    assert timeline.epoch == 1


def test_another_sender_goes_on_where_the_time_of_arrival_says() -> None:
    """Its time stamps look close to the old ones, but they are unrelated."""
    timeline = TrackTimeline(90_000)
    first = timeline.pts(1000)
    timeline.restart()
    timeline.now = 1.0
    assert timeline.pts(1500) == first + 90_000


def test_before_any_report_audio_and_video_are_aligned_by_arrival() -> None:
    """Audio that arrives 0.5 s after the video is 0.5 s later; without video it has no time."""
    video, audio, sync = synced()
    assert sync.audio_pts(5) is None
    at(1.0, video, audio)
    shown = video.pts(900_000)
    at(1.5, video, audio)
    assert sync.audio_pts(4005) == shown + 45_000
    at(1.7, video, audio)
    assert sync.audio_pts(4005 + 160) == shown + 45_000 + 1800, "by its own clock, not by arrival"


def test_sender_reports_of_both_move_the_audio_and_never_the_video() -> None:
    """One report changes nothing; with both, the audio moves by the half second between them."""
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
    """Reports that place the audio 4000 s away are ignored."""
    video, audio, sync = synced()
    at(1.0, video, audio)
    shown, heard = video.pts(900_000), sync.audio_pts(8000)
    video.hear(SenderReport(1, 5000.0, 900_000, 0))
    audio.hear(SenderReport(2, 9000.0, 8000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == heard == shown


def test_clock_drift_within_the_tolerance_does_not_move_the_audio() -> None:
    """A deviation of 10 ms is within the tolerance of 20 ms."""
    video, audio, sync = synced()
    at(1.0, video, audio)
    video.pts(900_000)
    heard = sync.audio_pts(8000)
    video.hear(SenderReport(1, 5000.0, 900_000, 0))
    audio.hear(SenderReport(2, 5000.01, 8000, 0))
    sync.adjust()
    assert sync.audio_pts(8000) == heard


def test_restarted_audio_is_aligned_by_arrival_again() -> None:
    """After a restart of the audio's sender, arrival decides again."""
    video, audio, sync = synced()
    video.pts(900_000)
    sync.audio_pts(8000)
    audio.restart()
    at(2.0, video, audio)
    shown = video.pts(1_080_000)
    assert sync.audio_pts(4_000_000_000) == shown


def test_new_sender_with_the_same_count_continues_it() -> None:
    """A step that fits the time of arrival is taken as it is; one that goes back is not."""
    timeline = TrackTimeline(90_000)
    first = timeline.pts(1000)
    timeline.restart()
    timeline.now = 0.1
    assert timeline.pts(7000) == first + 6000
    assert timeline.epoch == 0
    timeline.restart()
    timeline.now = 0.2
    assert timeline.pts(6000) == first + 15_000
    assert timeline.epoch == 1


def test_step_back_of_more_than_a_second_continues_at_the_time_of_arrival() -> None:
    """A smaller one may be a B-frame, and is taken as it is."""
    timeline = TrackTimeline(90_000)
    first = timeline.pts(900_000)
    timeline.now = 0.1
    assert timeline.pts(900_000 - 80_000) == first - 80_000
    timeline.now = 0.2
    assert timeline.pts(900_000 - 180_000) == first - 80_000 + 9000


def test_one_time_stamp_hours_off_moves_nothing() -> None:
    """The ones before and behind it keep their distance by the time of arrival."""
    timeline, taken = TrackTimeline(90_000), list[int]()
    for index in range(20):
        timeline.now = index * 0.1
        taken.append(timeline.pts(9000 * index + (2_000_000_000 if index == 9 else 0)))
    assert all(abs(pts - 9000 * index) <= 2 for index, pts in enumerate(taken))


def test_constant_time_stamps_go_nowhere_and_do_no_harm() -> None:
    """The hub gives each access unit its own time."""
    timeline = TrackTimeline(90_000)
    assert {timeline.pts(7) for timeline.now in range(5)} == {7}
