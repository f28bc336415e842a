"""Facts about a camera: one door for its texts, one connection, measurements of the moment."""

import base64
import random
from urllib.parse import quote

import attrs
import pytest

from actors.media.facts import NTP_EPOCH_S, SourceFacts, audio_use, met
from actors.media.hub import Hub
from actors.media.media import AudioFormat, SourceLoss
from actors.media.oddities import Oddity
from supervisor.config.load import parse
from supervisor.ports.facts import MAX_TEXT, CameraFacts
from tests.kit.media import FPS, access_units

ALPHABET = "abcXYZ0189 !$%&*+-.,;:=?@^_~#/\\'\"<>|äß東´`"
"""Characters of odd passwords."""


GOP = 2 * FPS
"""Access units of a GOP of `access_units`."""


@attrs.define
class HandClock:
    """Goes on when a test moves it."""

    now_ns: int = 0

    def wall_ns(self) -> int:
        return 1_800_000_000_000_000_000 + self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns


def test_facts_are_those_of_one_connection() -> None:
    """The first fact of the next connection replaces all of the last one; no measurement of that is read again."""
    facts = SourceFacts()
    facts.begin()
    facts.note(server="one")
    facts.measured_by(lambda: {"loss": 0.5})
    assert (facts.current().server, facts.current().loss) == ("one", 0.5)
    facts.begin()
    facts.note(title="two")
    assert facts.current() == CameraFacts(title="two")


def test_facts_of_the_last_connection_stay_while_attempts_fail() -> None:
    """An attempt that does not reach the camera has no facts, and takes none away."""
    facts = SourceFacts()
    facts.begin()
    facts.note(server="one")
    facts.measured_by(lambda: {"loss": 0.5})
    facts.keep_measurements()
    for _ in range(2):
        facts.begin()
        assert (facts.current().server, facts.current().loss) == ("one", 0.5)


def test_last_measurements_are_kept_after_the_end_of_a_connection() -> None:
    """They are read once more at the end, and not from the connection that is gone."""
    facts, loss = SourceFacts(), [0.25]
    facts.measured_by(lambda: {"loss": loss[0]})
    facts.keep_measurements()
    loss[0] = 0.5
    assert facts.current().loss == 0.25


def test_text_of_a_camera_is_one_bounded_line() -> None:
    """Control characters are replaced, and the rest is cut."""
    facts = SourceFacts()
    facts.note(title="a\x1b[2J\nb", server="x" * 10_000)
    assert facts.current().title == "a\ufffd[2J\ufffdb"
    assert facts.current().server == "x" * (MAX_TEXT - 1) + "…"


def test_first_server_header_counts() -> None:
    """A camera that changes it in each answer does not change the facts."""
    facts = SourceFacts()
    for server in ("", "one", "two"):
        facts.hear_answer("OPTIONS", 0.1, server)
    assert facts.current().server == "one"


def test_slowest_answer_is_named() -> None:
    """The last round trip is beside it."""
    facts = SourceFacts()
    for method, seconds in (("OPTIONS", 0.01), ("SETUP", 2.3), ("PLAY", 0.02)):
        facts.hear_answer(method, seconds, "")
    found = facts.current()
    assert (found.round_trip_s, found.slowest_s, found.slowest) == (0.02, 2.3, "SETUP")


@pytest.mark.parametrize(
    ("ahead_s", "found"), [(0.0, 0.0), (1.5, 1.5), (-7200.0, -7200.0), (-1_800_000_000.0, None), (1e12, None)]
)
def test_clock_skew_is_that_of_a_clock_that_is_set(ahead_s: float, found: float | None) -> None:
    """A camera that counts from its start has no clock to compare."""
    facts = SourceFacts(HandClock())
    facts.hear_clock(1_800_000_000 + NTP_EPOCH_S + ahead_s)
    assert facts.current().clock_skew_s == found


def test_password_is_in_no_fact_in_any_form() -> None:
    """300 odd passwords, as the configuration hides them: plain, quoted, in other case, as Basic sends them, cut."""
    chance = random.Random(16)
    for _ in range(300):
        password = "".join(chance.choices(ALPHABET, k=chance.randint(3, 24))).strip()
        if len(password) < 3:
            continue
        secrets = secrets_of(password)
        facts = SourceFacts()
        facts.begin(secrets)
        facts.hide("viewer", password)
        login = base64.b64encode(f"viewer:{password}".encode()).decode()
        told = (password, password.upper(), password.lower(), *secrets, login, f"{password} " * 200)
        for text in told:
            facts.begin(secrets)
            facts.hide("viewer", password)
            facts.note(title=f"camera {text} end", information=text, tool=f"{text}/{text}")
            facts.hear_answer("OPTIONS", 0.1, f"Server/{text}")
            for shown in (facts.current().title, facts.current().information, facts.current().server):
                for secret in (password, login.rstrip("="), *secrets):
                    assert secret.lower() not in shown.lower(), (password, text, shown)


def secrets_of(password: str) -> tuple[str, ...]:
    """The secrets of a camera with that password in its address, as the configuration finds them."""
    text = f"cameras:\n  gate: rtsp://viewer:{quote(password, safe='')}@192.0.2.1/main\n"
    return parse(text, "test", {}, {"rtsp": lambda source: None}).cameras["gate"].secrets  # type: ignore[index]


def test_oddities_are_sorted_by_their_count() -> None:
    """Each with its count; those that were not met are left out."""
    loss = SourceLoss()
    for oddity in (Oddity.CSEQ, Oddity.NO_RANGE, Oddity.CSEQ):
        loss.meet(oddity)
    assert [(each.code, each.count) for each in met(loss.oddities)] == [("cseq", 2), ("no-range", 1)]


@pytest.mark.parametrize(
    ("audio", "mute", "words"),
    [
        (None, "", ""),
        (None, "its audio is G729, which cannot be passed on", "its audio is G729, which cannot be passed on"),
        (AudioFormat("pcma", 8000, 1), "", "passed on unchanged"),
        (AudioFormat("opus", 48_000, 2), "", "passed on unchanged"),
        (AudioFormat("pcma", 16_000, 1), "", "transcoded to Opus while somebody listens"),
        (AudioFormat("pcmu", 8000, 2), "", "transcoded to Opus while somebody listens"),
        (AudioFormat("aac", 48_000, 2), "", "transcoded to Opus while somebody listens"),
    ],
)
def test_use_of_the_audio_is_explained(audio: AudioFormat | None, mute: str, words: str) -> None:
    """Unchanged, transcoded, or the reason for the silence."""
    assert audio_use(audio, mute) == words


def test_hub_knows_the_stream_of_its_connection() -> None:
    """Codec, profile, size, rate, and the length of the last whole GOP; nothing of them after the next beginning."""
    clock = HandClock()
    hub = Hub(clock)
    hub.begin()
    assert hub.about() == CameraFacts()
    for number, unit in enumerate(access_units(count=2 * GOP + 1)):
        clock.now_ns += 1_000_000_000 // FPS
        hub.publish(unit, number * 90_000 // FPS)
    found = hub.about()
    assert hub.picture is not None
    assert (found.codec, found.width, found.b_frames) == ("h264", hub.picture.width, False)
    assert found.gop_frames == GOP
    assert found.gop_s == pytest.approx(GOP / FPS, rel=0.01)
    assert found.fps == pytest.approx(FPS, rel=0.1)
    assert (found.profile, found.level) != ("", "")
    hub.begin()
    assert (hub.about().codec, hub.about().profile, hub.about().gop_frames) == ("", "", None)
