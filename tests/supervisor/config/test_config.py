"""The configuration: what is right, and for everything wrong a line with its place and what would be right."""

import os
import time
from pathlib import Path

import attrs
import pytest

from actors.sources import KINDS
from supervisor.base.redact import is_secret
from supervisor.config.config import Config, Source, state_folder
from supervisor.config.load import MAX_BYTES, load, parse
from supervisor.config.parse_context import MAX_BRACKETS, MAX_KEYS, MAX_TEXT
from supervisor.config.problem_text import ConfigError
from supervisor.config.types import MAX_LIST, TlsFiles
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, Patrol, Policy
from supervisor.journal.anchor import AnchorSettings
from supervisor.journal.retention import DAY_S, Retention
from supervisor.runtime.vault import Vault

CHECKS = {name: kind.check for name, kind in KINDS.items()}


def read(text: str, **environ: str) -> Config:
    return parse(text, "banken.yaml", environ, CHECKS)


def complaints(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    return caught.value.complaints


def test_everything_at_once(tmp_path: Path) -> None:
    """One file with every section: each value arrives in its type, and the summary of a source has no password."""
    clip = tmp_path / "a clip.mp4"
    clip.touch()
    config = read(
        f"""
        web: {{listen: "[::1]:9000", allow_origins: ["https://wall.example"]}}
        journal: {{path: /var/lib/banken/journal}}
        limits: {{peers: 10, peers_per_camera: 5, peers_per_client: 2, disconnected_after: 25s}}
        webrtc: {{ice_servers: ["stun:stun.example:3478"]}}
        cameras:
          front: rtsp://viewer:${{PASSWORD}}@192.0.2.10/stream1
          hall: {{source: "rtsp://192.0.2.11/stream2"}}
          clip: file://{clip.as_posix().replace(" ", "%20")}
          bars: test:640x360@25
          bench: {{ffmpeg: ["-f", "v4l2", "-i", "/dev/video0"]}}
        """,
        PASSWORD="pa55",
    )
    assert (config.host, config.port, config.allow_origins) == ("::1", 9000, ("https://wall.example",))
    assert config.limits == Limits(10, 5, 2, 25.0)
    assert config.ice_servers == ("stun:stun.example:3478",)
    assert [source.kind for source in config.cameras.values()] == ["rtsp", "rtsp", "file", "test", "ffmpeg"]
    front = next(iter(config.cameras.values()))
    assert front.address == "rtsp://viewer:pa55@192.0.2.10/stream1"
    assert front.summary().url == "rtsp://viewer:***@192.0.2.10/stream1"


def test_viewer_of_a_camera_that_is_not_live_waits_unless_the_file_says_refuse() -> None:
    """The default is as in 0.1.0."""
    texts = ("", "webrtc: {not_live: wait}", "webrtc: {not_live: refuse}")
    assert [read(text).refuse_not_live for text in texts] == [False, False, True]


def test_trusted_proxies_are_addresses_and_networks() -> None:
    """An address alone is a network of one; the family of headers has a default."""
    config = read("web: {trusted_proxies: [127.0.0.1, 10.1.0.0/16, '2001:db8::/32'], forwarded: forwarded}")
    assert [str(network) for network in config.trusted_proxies] == ["127.0.0.1/32", "10.1.0.0/16", "2001:db8::/32"]
    assert (config.forwarded, read("").forwarded, read("").trusted_proxies) == ("forwarded", "x-forwarded", ())


def test_state_folder_holds_the_folder_of_the_journal_by_default() -> None:
    """Also for a journal that is `.`; `state.path` names another one."""
    texts = ("journal: {path: /a/b/c}", "journal: {path: .}", "state: {path: /x/y}\njournal: {path: /a/b/c}")
    assert [state_folder(read(text)) for text in texts] == [Path("/a/b"), Path.cwd().parent, Path("/x/y")]


@pytest.mark.parametrize(
    ("listen", "exposed"),
    [
        *(("127.0.0.1:8620", ""), ("127.9.9.9:1", ""), ("[::1]:8620", ""), ("localhost:8620", "")),
        *(("0.0.0.0:8620", "0.0.0.0:8620"), ("192.0.2.7:80", "192.0.2.7:80"), ("[::]:8620", "[::]:8620")),
        *(("cams.lan:8620", "cams.lan:8620"), ("0:8620", "0:8620")),
    ],
)
def test_address_beyond_loopback_is_exposed(listen: str, exposed: str) -> None:
    """An address that another machine may reach is warned about."""
    config = read(f"web: {{listen: '{listen}'}}")
    assert (config.exposed, bool(config.exposure)) == (exposed, bool(exposed))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: {listen: '127.0.0.1:8620'}", ()),
        ("web: {listen: '0.0.0.0:8620'}", ("banken setup-link",)),
        ("web: {trusted_proxies: [192.0.2.1]}", ("access.proxy.roles",)),
        ("web: {trusted_proxies: [192.0.2.1]}\naccess: {proxy: {roles: {watcher: ['*']}}}", ()),
        (
            "web: {listen: '0.0.0.0:8620', trusted_proxies: [192.0.2.1]}\naccess: {proxy: {user_header: X-User}}",
            ("banken setup-link", "access.proxy.roles"),
        ),
    ],
)
def test_limits_before_users_have_a_hint_each(text: str, said: tuple[str, ...]) -> None:
    """Beyond loopback, and behind a proxy that has no role."""
    hints = read(text).before_users
    assert len(hints) == len(said)
    assert all(one in hint for one, hint in zip(said, hints, strict=True))


@pytest.mark.parametrize(
    ("web", "rtsp", "is_refused"),
    [
        *(("127.0.0.1:8620", "127.0.0.1:8620", True), ("localhost:8620", "127.0.0.1:8620", True)),
        *(
            ("0.0.0.0:8554", "127.0.0.1:8554", True),
            ("[::]:8554", "127.0.0.1:8554", True),
            ("0:8554", "[::1]:8554", True),
        ),
        *(("127.0.0.1:8620", "127.0.0.1:8554", False), ("127.0.0.1:8620", "[::1]:8620", False)),
        *(("127.0.0.1:8620", "127.0.0.2:8620", False), ("127.0.0.1:0", "127.0.0.1:0", False)),
    ],
)
def test_page_and_rtsp_server_have_different_addresses(web: str, rtsp: str, is_refused: bool) -> None:
    """The daemon could not listen at both; the complaint has the line."""
    text = f"web: {{listen: '{web}'}}\nrtsp: {{listen: '{rtsp}'}}\ncameras: {{}}\n"
    if not is_refused:
        assert read(text).rtsp is not None
        return
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.complaints == ["banken.yaml:2: rtsp.listen and web.listen are one address; set another port"]


@pytest.mark.parametrize(
    ("tls", "listen", "is_secure"),
    [
        *(("auto", "127.0.0.1:1", False), ("auto", "0.0.0.0:1", True), ("auto", "cams.lan:1", True)),
        *(("off", "127.0.0.1:1", False), ("off", "0.0.0.0:1", False)),
        *(("{cert: a, key: b}", "127.0.0.1:1", True), ("{cert: a, key: b}", "0.0.0.0:1", True)),
    ],
)
def test_page_is_secure_beyond_loopback_or_with_files(tls: str, listen: str, is_secure: bool) -> None:
    """`auto` is the default; `off` says that somebody else speaks TLS, or that nobody does."""
    assert read(f"web: {{listen: '{listen}', tls: {tls}}}").is_secure == is_secure
    assert read("").tls == "auto"


def test_files_of_a_certificate_begin_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    """As every path; `~` is the home."""
    (tmp_path / "banken.yaml").write_text("web: {tls: {cert: tls/cams.pem, key: /etc/cams.key}}")
    config = load(tmp_path / "banken.yaml", {}, CHECKS)
    assert config.tls == TlsFiles(tmp_path / "tls/cams.pem", Path("/etc/cams.key"))


@pytest.mark.parametrize(
    ("tls", "says"),
    [
        ("on", "web.tls must be auto, off, or {cert: FILE, key: FILE}"),
        ("[a, b]", "web.tls must be auto, off, or {cert: FILE, key: FILE}"),
        ("{cert: a}", "web.tls has no key; it needs the files of a certificate and of its key"),
        ("{key: a}", "web.tls has no cert; it needs"),
        ("{cert: a, keys: b}", "unknown key 'keys' in web.tls; did you mean 'key'?"),
        ("{cert: [], key: b}", "web.tls.cert must be text"),
    ],
)
def test_wrong_tls_is_a_problem(tls: str, says: str) -> None:
    """With its line and what would be right."""
    found = complaints(f"web: {{tls: {tls}}}")
    assert found[0].startswith(f"banken.yaml:1: {says}")


def test_arguments_that_look_secret_are_warned_of_and_taken() -> None:
    """A camera of 0.1.0 goes on; the warning names it and what to do, and holds no secret."""
    config = read(
        """
        secret: [streamkey1]
        cameras:
          a: {ffmpeg: ["-re", "-i", "http://h/x?loginpas=geheim-1"]}
          b: {ffmpeg: ["-headers", "X-My-Login: geheim-1", "-i", "http://h/x"]}
          c: {ffmpeg: ["-i", "http://h/x", "-metadata", "title=streamkey1"]}
          handed-over: {ffmpeg: ["-i", "http://h/x?loginpas=geheim-1"]}
          plain: {ffmpeg: ["-i", "http://h/x"]}
        """
    )
    (warning,) = config.warnings
    assert warning.startswith("ffmpeg of a, b, c: arguments that look secret can be read by every user")
    assert "if the list begins with -i and the address" in warning
    assert "geheim" not in warning + str([source.summary() for source in config.cameras.values()])


@pytest.mark.parametrize("address", ["http://h/${P}", "https://u:Hunter2@h/x", "http://h/x?password=Hunter2"])
def test_password_in_an_http_address_that_is_handed_over_in_secret_is_taken(address: str) -> None:
    """It is right behind -i, and nothing is in front."""
    config = read(f"cameras: {{a: {{ffmpeg: [-i, '{address}', -an]}}}}", P="Hunter2")
    assert config.warnings == ()


@pytest.mark.parametrize("written", ["AB" * 32, "ab" * 32, ":".join(["Ab"] * 32), "12" * 32])
def test_pin_of_a_certificate_is_written_with_or_without_colons(written: str) -> None:
    """As browsers and openssl show it, in capitals or not, also if it looks like a number."""
    config = read(f"cameras: {{a: {{source: 'rtsps://192.0.2.10/x', tls: {{pin: {written}}}}}, b: 'rtsps://h/x'}}")
    pins = [config.cameras[CameraId(name)].pin for name in "ab"]
    assert pins == [written.replace(":", "").lower(), ""]


@pytest.mark.parametrize(
    ("camera", "problem"),
    [
        (
            "source: rtsps://h/x, tls: {pin: abcd}",
            "tls.pin of camera 'a' must be the SHA-256 of a certificate, 64 hexa",
        ),
        (
            f"source: rtsps://h/x, tls: {{pin: {'g' * 64}}}",
            "tls.pin of camera 'a' must be the SHA-256 of a certificate",
        ),
        (f"source: rtsps://h/x, tls: {{pin: '{'ab' * 33}'}}", "tls.pin of camera 'a' must be the SHA-256 of a certif"),
        ("source: rtsps://h/x, tls: abcd", "tls of camera 'a' must be a mapping"),
        ("source: rtsps://h/x, tls: {pinned: abcd}", "unknown key 'pinned' in tls of camera 'a'; did you mean 'pin'?"),
        (
            f"source: rtsp://h/x, tls: {{pin: {'ab' * 32}}}",
            "camera 'a': `tls.pin` counts only for rtsps://, not for rtsp",
        ),
        (
            f"source: 'test:64x64@5', tls: {{pin: {'ab' * 32}}}",
            "camera 'a': `tls.pin` counts only for rtsps://, not for",
        ),
        (
            f"source: rtsps://h/x, via: 'http://127.0.0.1:1984', tls: {{pin: {'ab' * 32}}}",
            "camera 'a': go2rtc compares no certificate; leave out via or tls.pin",
        ),
    ],
)
def test_pin_that_cannot_be_compared_is_an_error(camera: str, problem: str) -> None:
    """It would be an illusion of safety."""
    (complaint,) = complaints(f"cameras: {{a: {{{camera}}}}}")
    assert complaint.startswith(f"banken.yaml:1: {problem}")


@pytest.mark.parametrize(
    ("listen", "warned"), [("0.0.0.0:8554", "0.0.0.0:8554"), ("[::]:8554", "[::]:8554"), ("127.0.0.1:8554", "")]
)
def test_readers_beyond_this_machine_are_possible_with_a_warning(listen: str, warned: str) -> None:
    """They log in with a token, and their video is not encrypted."""
    config = read(f"rtsp: {{listen: '{listen}'}}")
    assert config.rtsp is not None
    begins = f"rtsp.listen: {warned} is beyond this machine: readers need a token"
    assert [line.startswith(begins) for line in config.warnings] == ([True] if warned else [])


def test_one_client_may_see_every_camera_in_two_pages() -> None:
    """The default is twice the number of cameras, at least 8; a limit that is written wins."""

    def limit(cameras: int, more: str = "") -> int:
        names = "".join(f"  c{number}: test:64x64@5\n" for number in range(cameras))
        return read(f"cameras:\n{names}{more}").limits.peers_per_client

    assert [limit(1), limit(16), limit(16, "limits: {peers_per_client: 3}")] == [8, 32, 3]


def test_leases_and_detections_have_separate_sections() -> None:
    """The token is a secret: it is in nothing that is decided with."""
    config = read(
        """
        limits: {leases: 100, leases_per_client: 10, idle: 10m}
        leases: {ttl: 45s, modal: 2h}
        detections: {token: "${TOKEN}", labels: [person, car], score: 0.75, quiet: 90s, motion: on,
                         shown: 15s, at_once: 2}
        cameras: {bars: test:640x360@25}
        """,
        TOKEN="0123456789abcdef",
    )
    assert config.limits == Limits(leases=100, leases_per_client=10, lease_ttl_s=45.0, modal_s=7200.0, idle_s=600.0)
    assert config.policy == Policy(("person", "car"), score=0.75, quiet_s=90.0, shown_s=15.0, motion=True, at_once=2)
    assert config.detector_token == "0123456789abcdef"
    plain = read("cameras: {bars: test:640x360@25}")
    assert (plain.policy, plain.detector_token) == (Policy(shown_s=180.0, at_once=3), "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("leases: {ttl: 5s}", "1: leases.ttl must be a duration from 10s to 2m, like 20s, not '5s'"),
        ("leases: {modal: 1s}", "1: leases.modal must be a duration from 1m to 30d"),
        ("leases: {forever: 1s}", "1: unknown key 'forever' in leases; known: ttl, modal"),
        ("limits: {idle: 1s}", "1: limits.idle must be a duration from 10s"),
        ("detections: {token: short}", "1: detections.token must have 16 characters or more"),
        ("detections:\n  labels: person", "2: detections.labels must be a list, not a text"),
        ("detections: {labels: [car, car]}", "1: detections.labels names 'car' twice"),
        ("detections: {score: 2}", "1: detections.score must be a number from 0 to 1, like 0.6, not '2'"),
        ("detections: {motion: perhaps}", "1: detections.motion must be on or off, not a text"),
        ("detections: {shown: 1s}", "1: detections.shown must be a duration from 3s"),
        ("detections: {quiet: -1s}", "1: detections.quiet must be a duration from 0s"),
    ],
)
def test_error_in_leases_or_detections_has_its_line(text: str, complaint: str) -> None:
    """Exactly one complaint comes, with the key, the range allowed and an example."""
    (said,) = complaints(text + "\ncameras: {bars: test:640x360@25}")
    assert said.startswith(f"banken.yaml:{complaint}")


def test_cameras_say_when_they_are_open_and_whose_connections_they_share() -> None:
    """A camera's device is the host of its address unless it is named; its group is its subnet."""
    config = read(
        """
        devices: {box: {max_connections: 2}, 192.0.2.11: {max_connections: 1}}
        patrol: {every: 5m, patience: 30s}
        limits: {linger: 0s}
        cameras:
          main: {source: "rtsp://192.0.2.10/1", device: box}
          sub: {source: "rtsp://192.0.2.10/2", device: box, mode: on_demand}
          door: {source: "rtsp://192.0.2.11/1", mode: patrol}
          gate: {source: "rtsp://u:pw@192.0.2.12/1", mode: patrol, group: east, via: "http://me:geheim@127.0.0.1:1984"}
          bars: test:64x64
        """
    )
    assert {d.device: d.max_connections for d in config.devices} == {"box": 2, "192.0.2.11": 1}
    assert (config.patrol, config.limits.linger_s) == (Patrol(300.0, 30.0), 0.0)
    taken = {settings.camera: settings for settings in Vault().take(config.cameras)}
    assert [(t.device, t.mode.value, t.group) for t in taken.values()] == [
        ("box", "always", "192.0.2.0/24"),
        ("box", "on_demand", "192.0.2.0/24"),
        ("192.0.2.11", "patrol", "192.0.2.0/24"),
        ("192.0.2.12", "patrol", "east"),
        (None, "always", "others"),
    ]
    gate = config.cameras[CameraId("gate")]
    assert (gate.kind, gate.via, "geheim" in gate.secrets) == ("go2rtc", "http://me:geheim@127.0.0.1:1984", True)
    assert "geheim" not in str(taken)


def test_password_of_an_address_is_known_in_each_form() -> None:
    """Of the source and of `via`: quoted, as a parameter of another address holds it, as well."""
    text = "cameras: {a: {source: 'rtsp://me:p%2F1@192.0.2.1', via: 'http://me:p%3F2@127.0.0.1:1984'}}"
    (a,) = read(text).cameras.values()
    assert {"p/1", "p%2F1", "p%252F1", "p?2", "p%3F2", "p%253F2"} <= set(a.secrets)


def test_camera_names_its_substream_for_browsers_without_the_codec() -> None:
    """One after the other, and two may name the same; the settings that are remembered have it."""
    config = read(
        """
        cameras:
          main: {source: "test:64x64", substream: sub}
          other: {source: "test:64x64", substream: sub}
          sub: {source: "test:64x64", substream: least}
          least: test:64x64
        """
    )
    taken = {settings.camera: settings.substream for settings in Vault().take(config.cameras)}
    assert taken == {"main": "sub", "other": "sub", "sub": "least", "least": None}


def test_an_empty_file_is_a_daemon_without_cameras() -> None:
    """It listens on 127.0.0.1:8620."""
    config = read("")
    assert (config.host, config.port, dict(config.cameras)) == ("127.0.0.1", 8620, {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("camera: {}", "banken.yaml:1: unknown key 'camera' in the configuration; did you mean 'cameras'? known: web"),
        (
            "web:\n  port: 1",
            "banken.yaml:2: unknown key 'port' in web; known: listen, tls, allow_origins, frame_ancestors, ",
        ),
        ("cameras: [a]", "banken.yaml:1: cameras must be a mapping of keys to values, not a list"),
        (
            "cameras:\n  a: test:64x64\n  a: test:64x64",
            "banken.yaml:3: duplicate camera 'a'; the first is on line 2",
        ),
        ("cameras:\n  a: rtsp://u:${NOPE}@h/x", "banken.yaml:2: the environment has no variable 'NOPE'"),
        ("cameras:\n  a: gopher://x", "banken.yaml:2: camera 'a': unknown kind of source 'gopher'; known: rtsp"),
        ("cameras:\n  a: rtsp:///x", "banken.yaml:2: camera 'a': 'rtsp:///x' is no RTSP address"),
        ("cameras:\n  a: rtsp://u:geheim@/x", "banken.yaml:2: camera 'a': 'rtsp://u:***@/x' is no RTSP address"),
        ("cameras:\n  a: test:9x9@900", "banken.yaml:2: camera 'a': 'test:9x9@900' is not a test pattern"),
        ("cameras:\n  a: file:///nowhere.mp4", "banken.yaml:2: camera 'a': there is no file '/nowhere.mp4'"),
        ("cameras:\n  a: {ffmpeg: [x]}", "banken.yaml:2: camera 'a': ffmpeg needs a list of arguments with an input"),
        ("cameras:\n  a: {ffmpeg: x}", "banken.yaml:2: ffmpeg of camera 'a' must be a list"),
        ("cameras:\n  a: {}", "banken.yaml:2: camera 'a' needs exactly one of: source or ffmpeg"),
        ("cameras:\n  a:", "banken.yaml:2: source of camera 'a' must be text, not nothing"),
        ("cameras:\n  a: {source: test:64x64, mode: often}", "banken.yaml:2: mode of camera 'a' must be always, on_d"),
        (
            "cameras:\n  a:\n    source: test:64x64\n    substream: c\n  b: test:64x64",
            "banken.yaml:4: substream of camera 'a' must name another camera: b",
        ),
        (
            "cameras: {a: {source: 'test:64x64', substream: a}}",
            "banken.yaml:1: substream of camera 'a' must be another camera, not itself",
        ),
        (
            "cameras: {a: {source: 'test:64x64', substream: '${P}'}}",
            "banken.yaml:1: substream of camera 'a' must name another camera: there are no others",
        ),
        (
            "cameras:\n  b: {source: 'test:64x64', substream: a}\n  a: {source: 'test:64x64', substream: c}\n"
            "  c: {source: 'test:64x64', substream: a}",
            "banken.yaml:3: cycle of substreams: a → c → a; leave out one of them",
        ),
        ("devices: {box: {max_connections: 0}}", "banken.yaml:1: max_connections of device 'box' must be a whole n"),
        ("devices: {box: {}}", "banken.yaml:1: device 'box' needs max_connections, a whole number from 1"),
        ("devices: {box: {max_connections: 2}}", "banken.yaml:1: no camera has the device 'box'"),
        (
            "devices: {192.0.2.1: {max_connections: 1}}\ncameras: {b: rtsp://192.0.2.1/1, a: rtsp://192.0.2.1/2}",
            "banken.yaml:1: device '192.0.2.1' serves 1, but 2 cameras are always open: a, b; give some of them",
        ),
        ("patrol: {every: 1s}", "banken.yaml:1: patrol.every must be a duration from 5s to 1d"),
        ("patrol: {often: yes}", "banken.yaml:1: unknown key 'often' in patrol; known: every, patience"),
        ("journal: {retention: 1m}", "banken.yaml:1: journal.retention must be a duration from 1h to 3650d"),
        (
            "journal: {max_size: 4GB}",
            "banken.yaml:1: journal.max_size must be a size from 16MiB to 1024TiB, like 4GiB",
        ),
        ("limits: {linger: -1s}", "banken.yaml:1: limits.linger must be a duration from 0s"),
        (
            "cameras: {a: {source: 'rtsp://h/x', via: 'https://h:1984'}}",
            "banken.yaml:1: via of camera 'a' must be a go2rtc's API like http://127.0.0.1:1984, not 'https://h:1984'",
        ),
        (
            "cameras: {a: {source: 'rtsp://h/x', via: 'http://h', auth: digest}}",
            "banken.yaml:1: camera 'a': `auth: digest` does not bind the go2rtc of `via`; leave out one of them",
        ),
        ("cameras: {a: 'go2rtc://h/x'}", "banken.yaml:1: camera 'a': go2rtc is no address"),
        ("cameras:\n  Küche: test:64x64", "banken.yaml:2: camera name 'Küche' must be of a-z"),
        ("limits: {peers: 0}", "banken.yaml:1: limits.peers must be a whole number from 1 to 999999, not '0'"),
        ("limits: {peers: many}", "banken.yaml:1: limits.peers must be a whole number from 1 to 999999, not a text"),
        ("limits: {disconnected_after: 5s}", "banken.yaml:1: limits.disconnected_after must be a duration from 15s"),
        ("web: {listen: 8620}", "banken.yaml:1: web.listen must be ADDRESS:PORT"),
        ("web: {listen: '127.0.0.1:99999'}", "banken.yaml:1: web.listen must be ADDRESS:PORT"),
        ("rtsp: {listen: '127.0.0.1'}", "banken.yaml:1: rtsp.listen must be ADDRESS:PORT, like '127.0.0.1:8554'"),
        (
            "webrtc: {ice_servers: [http://x]}",
            "banken.yaml:1: an entry of webrtc.ice_servers must be like stun:HOST:PORT",
        ),
        ("webrtc: {not_live: maybe}", "banken.yaml:1: webrtc.not_live must be wait or refuse, not 'maybe'"),
        (
            "a: [1",
            "banken.yaml:1: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        (
            "a: [\n 1",
            "banken.yaml:2: not YAML: while parsing a flow sequence (line 1), expected ',' or ']', but got '<s",
        ),
        (
            "a: `x",
            "banken.yaml:1: not YAML: while scanning for the next token, found character '`' that cannot start any",
        ),
        (
            "a: 1\n\tb: 2",
            "banken.yaml:2: not YAML: while scanning for the next token, found character '\\t' that cannot",
        ),
        (
            "a: 1\n---\nb: 2",
            "banken.yaml:2: not YAML: expected a single document in the stream (line 1), but found another document",
        ),
        ("a: &geheim b\nb: &geheim c", "banken.yaml:2: not YAML: found duplicate anchor (line 1), second occurrence"),
        ("a: 1\nb: \x01", "banken.yaml:2: not YAML: the character U+0001 is not allowed"),
        ('a: 1\nb: "\\UFFFFFFFF"', "banken.yaml:2: not YAML: "),
        ("cameras:\n  a: {<<: {}}", "banken.yaml:2: camera 'a' has a merge key <<, which is not supported"),
        ("cameras:\n  <<: {}", "banken.yaml:2: cameras has a merge key <<, which is not supported"),
        (
            "cameras: {a: http://h/x}",
            "banken.yaml:1: camera 'a': unknown kind of source 'http'; known: rtsp, file, shm, test, "
            'rtsps; `ffmpeg: ["-i", ADDRESS]` reads others',
        ),
        (
            "limits: {peers: 99999999999999999999}",
            "banken.yaml:1: limits.peers must be a whole number from 1 to 999999, not a number of 20 digits",
        ),
        (
            "detections: {score: .nan}",
            "banken.yaml:1: detections.score must be a number from 0 to 1, like 0.6, not NaN or",
        ),
        ("[" * 3000, "banken.yaml:1: not YAML: nested too deeply"),
        ("? [a]\n: b", "banken.yaml:1: a key of the configuration must be text, not a list"),
        ('cameras:\n  a: !foo "test:64x64"', "banken.yaml:2: source of camera 'a' has a tag"),
        ('cameras:\n  a: "test:\\0"', "banken.yaml:2: source of camera 'a' has characters that cannot be printed"),
        ('cameras: {a: {ffmpeg: ["-i", "\\ud800"]}}', "banken.yaml:1: an entry of ffmpeg of camera 'a' has characters"),
        ('web: {listen: "a\\0b:1"}', "banken.yaml:1: web.listen has characters"),
        ("cameras:\n  a: 'file://[x'", "banken.yaml:2: camera 'a': 'file://[x' cannot be used"),
        (f"cameras:\n  a: file:///{'x' * 300}", "banken.yaml:2: camera 'a': "),
        (
            "cameras: {a: {ffmpeg: [-re, -i, 'http://h/${P}']}}",
            "banken.yaml:1: camera 'a': a password among the arguments",
        ),
        ("cameras:\n  a: ${P}", "banken.yaml:2: camera 'a': unknown kind of source '***'"),
        (
            "web:\n  trusted_proxies: [10.0.0.0/33]",
            "banken.yaml:2: an entry of web.trusted_proxies must be an address or a network",
        ),
        (
            "cameras:\n  a:\n    source: test:64x64\n    privacy: [22:00-06:00, Montag 22:00-06:00]",
            "banken.yaml:4: an entry of privacy of camera 'a' names a day 'Montag'; days are Mon, Tue,",
        ),
        (
            "cameras:\n  a: {source: test:64x64, privacy:\n    [22:00]}",
            "banken.yaml:3: an entry of privacy of camera 'a' must be",
        ),
        (
            "web: {trusted_proxies: [10.0.0.1/8]}",
            "banken.yaml:1: an entry of web.trusted_proxies must be an address or a network",
        ),
        (
            "web: {trusted_proxies: [proxy.example]}",
            "banken.yaml:1: an entry of web.trusted_proxies must be an address or",
        ),
        (
            "web: {trusted_proxies: [0.0.0.0/0]}",
            "banken.yaml:1: an entry of web.trusted_proxies must name the proxies; '0.0.0.0/0' is",
        ),
        (
            "web: {trusted_proxies: ['::/0']}",
            "banken.yaml:1: an entry of web.trusted_proxies must name the proxies; '::/0' is every",
        ),
        (
            "web: {trusted_proxies: ['::ffff:10.0.0.0/104']}",
            "banken.yaml:1: an entry of web.trusted_proxies must name an IPv4",
        ),
        ("web: {trusted_proxies: 127.0.0.1}", "banken.yaml:1: web.trusted_proxies must be a list"),
        (
            "web: {forwarded: x-real-ip}",
            "banken.yaml:1: web.forwarded must be x-forwarded or forwarded, not 'x-real-ip'",
        ),
        ("web: {listen: '${P}'}", "banken.yaml:1: web.listen must be ADDRESS:PORT, like '127.0.0.1:8620', not '***'"),
        (
            "cameras:\n  a: rtsp://u:p@s/w#d@192.0.2.1/x",
            "banken.yaml:2: camera 'a': 'rtsp://u:***@192.0.2.1/x' is no RTSP",
        ),
        (
            "cameras:\n  a: rtsp://u:1234#x@192.0.2.1/x",
            "banken.yaml:2: camera 'a': 'rtsp://u:***@192.0.2.1/x' is no RTSP",
        ),
        ("cameras:\n  a: {rtsp: [x]}", "banken.yaml:2: unknown key 'rtsp' in camera 'a'; known: source, ffmpeg"),
        ("cameras:\n  a: file://clip.mp4", "banken.yaml:2: camera 'a': 'file://clip.mp4' names a host"),
        ("cameras:\n  a: rtsp://u:S3/W@h/x", "banken.yaml:2: camera 'a': 'rtsp://u:***@h/x' is no RTSP address"),
        (
            "cameras: {a: {ffmpeg: [-re, -i, 'http://u:geheim@h/']}}",
            "banken.yaml:1: camera 'a': a password among the arguments",
        ),
        ("\tx: 1", "banken.yaml:1: not YAML"),
        ("- a\n- b", "banken.yaml:1: the configuration must be a mapping of keys to values, not a list"),
    ],
)
def test_configuration_error_has_line_key_and_remedy(text: str, complaint: str) -> None:
    """The first complaint has line, key and remedy, and no complaint shows the value of a variable."""
    found = complaints(text, P="Hunter2")
    assert found[0].startswith(complaint)
    assert "unter2" not in str(found)


def test_all_complaints_come_at_once() -> None:
    """Two wrong cameras, a wrong limit and an unknown key give four complaints in one reading."""
    assert len(complaints("limits: {peers: 0}\nnope: 1\ncameras:\n  a: gopher:x\n  b: rtsp://")) == 4


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["missing", "not text"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A missing file and one that is not UTF-8 are errors of the configuration that name the file."""
    path = tmp_path / "banken.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"banken\.yaml: (cannot be read: No such file|is not UTF-8)"):
        load(path, {}, CHECKS)


@pytest.mark.parametrize("bracket", "[{")
def test_brackets_within_brackets_take_no_time(bracket: str) -> None:
    """Fifty are read, as far as they go; more are too many, whatever comes behind them."""
    assert "not YAML" in complaints(bracket * MAX_BRACKETS)[0]
    began = time.perf_counter()
    assert "nested too deeply" in complaints(bracket * MAX_BYTES)[0]
    assert time.perf_counter() - began < 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Not even one that would be YAML, and to the byte."""
    path = tmp_path / "banken.yaml"
    path.write_text("#" * MAX_BYTES)
    assert load(path, {}, CHECKS).cameras == {}
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match=r"banken\.yaml: is larger than 256 KiB"):
        load(path, {}, CHECKS)


def test_a_new_password_is_a_new_revision() -> None:
    """Nothing that may be shown has changed, and yet the settings are not the same."""
    vault = Vault()
    text = "cameras: {a: 'rtsp://u:${P}@h/x', b: 'test:'}"
    first = vault.take(read(text, P="one").cameras)
    again = vault.take(read(text, P="one").cameras)
    changed = vault.take(read(text, P="two").cameras)
    assert first == again
    assert [settings.source.revision for settings in changed] == [1, 0]
    assert "two" not in str(changed)


def test_how_much_of_the_journal_is_kept() -> None:
    """`30d` and `1.5GiB` become seconds and bytes; without them the defaults apply."""
    config = parse("journal: {retention: 30d, max_size: 1.5GiB}\ncameras: {bars: 'test:64x64@5'}", "here", {}, CHECKS)
    assert config.retention == Retention(30 * DAY_S, 1_610_612_736)
    assert parse("cameras: {bars: 'test:64x64@5'}", "here", {}, CHECKS).retention == Retention()


def test_env_of_a_source_is_read_and_its_secrets_are_hidden() -> None:
    """A value from the environment is a secret, and so is one whose name says so; neither is in what is journaled."""
    config = read(
        """
        cameras:
          a:
            ffmpeg: ["-i", "http://h/video"]
            env: {AUTH_TOKEN: geheim-1, LICENCE: "${LICENCE}", LD_LIBRARY_PATH: /opt/x}
          b: {source: "test:64x64", env: {TZ: Asia/Tokyo}}
        """,
        LICENCE="geheim-2",
    )
    a, b = config.cameras.values()
    assert a.env == {"AUTH_TOKEN": "geheim-1", "LICENCE": "geheim-2", "LD_LIBRARY_PATH": "/opt/x"}
    assert set(a.secrets) == {"geheim-1", "geheim-2"}
    assert (b.env, b.secrets) == ({"TZ": "Asia/Tokyo"}, ())
    assert "geheim" not in f"{a.summary()} {Vault().take(config.cameras)}"
    assert "geheim" not in repr(attrs.evolve(a, secrets=()))


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ("hello", "1: env of camera 'a' must be a mapping of keys to values, not a text"),
        ("{A-B: x}", "1: 'A-B' in env of camera 'a' must be of A-Z, a-z, 0-9 and _"),
        ("{1A: x}", "1: '1A' in env of camera 'a' must be of A-Z"),
        ('{"A=B": x}', "1: 'A=B' in env of camera 'a' must be of A-Z"),
        ('{"A\\0": x}', "1: 'A\\x00' in env of camera 'a' must be of A-Z"),
        ('{A: "x\\0y"}', "1: env A of camera 'a' has characters that cannot be printed"),
        ('{A: "x\\ny"}', "1: env A of camera 'a' has characters that cannot be printed"),
        ("{A: }", "1: env A of camera 'a' must be text, not nothing"),
        ("{A: [x]}", "1: env A of camera 'a' must be text, not a list"),
        ("{A: x, A: y}", "1: duplicate key 'A'"),
        ("{A: '${NONE}'}", "1: the environment has no variable 'NONE'"),
        ("{BANKEN_CHILD: x}", "1: 'BANKEN_CHILD' in env of camera 'a': BANKEN_… are our own names"),
        (
            f"{{A: '{'x' * 8000}', B: '{'x' * 8000}', C: '{'x' * 1000}'}}",
            "1: env of camera 'a' has more than 64 names and 16384 characters",
        ),
        ("{" + ", ".join(f"A{n}: x" for n in range(65)) + "}", "1: env of camera 'a' has more than 64 names"),
    ],
)
def test_wrong_env_of_a_source_is_refused_with_its_line(env: str, complaint: str) -> None:
    """Names are those of POSIX, values one printable line; banken's own names and sizes without bound are refused."""
    (said,) = complaints(f"cameras: {{a: {{source: 'test:64x64', env: {env}}}}}")
    assert said.startswith(f"banken.yaml:{complaint}")


def test_env_that_changes_is_a_change_of_the_camera() -> None:
    """It is not journaled, so the revision of the source says that it is another."""
    vault = Vault()
    first, again, other = (
        vault.take(read(f"cameras: {{a: {{source: 'test:64x64', env: {{A: {value}}}}}}}").cameras)[0].source.revision
        for value in ("one", "one", "two")
    )
    assert (first, again, other) == (0, 0, 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"cameras: {{a: 'test:{'x' * MAX_TEXT}'}}", "camera 'a' has 8197 characters; at most 8192 are allowed"),
        (
            f"cameras: {{a: {{ffmpeg: [{'x, ' * MAX_LIST} x]}}}}",
            "ffmpeg of camera 'a' has 1025 entries; at most 1024 are allowed",
        ),
        (
            f"patrol: {{{', '.join(f'k{n}: 1' for n in range(MAX_KEYS + 1))}}}",
            "patrol has 65 keys; known: every, patience",
        ),
        (
            f"leases: {{ttl: {'1' * 2000}}}",
            "leases.ttl must be a duration from 10s to 2m, like 20s, not a number of 2000 digits",
        ),
    ],
)
def test_value_that_an_alias_could_repeat_beyond_its_bound_is_a_complaint(text: str, complaint: str) -> None:
    """Each part of a file is bounded, so that a reference to it costs a bounded time."""
    assert complaint in complaints(text)[0]


def test_substream_that_is_no_camera_names_ten_cameras_at_most() -> None:
    """A complaint for each of a thousand cameras must not name a thousand cameras."""
    names = "".join(f"  c{number:02}: test:64x64@5\n" for number in range(30))
    text = f"cameras:\n{names}  x: {{source: 'test:64x64@5', substream: y}}"
    assert complaints(text)[0].endswith("another camera: " + ", ".join(f"c{n:02}" for n in range(10)) + " and 20 more")


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("rtsp://u:${FRONT_PASSWORD@h/", "source of camera 'a' has a ${ without its }; write ${NAME} for a variable"),
        ("rtsp://u:${A}${", "source of camera 'a' has a ${ without its }; write"),
        ("rtsp://u:${B@h/${A}", "source of camera 'a' has a ${…} without a name of A-Z, a-z, 0-9 and _ in it; write"),
        ("rtsp://u:${}@h/", "source of camera 'a' has a ${…} without a name"),
        ("rtsp://u:${1X}@h/", "source of camera 'a' has a ${…} without a name"),
        ("rtsp://u:${ A }@h/", "source of camera 'a' has a ${…} without a name"),
        ("rtsp://u:${geheim-1}@h/", "source of camera 'a' has a ${…} without a name"),
    ],
)
def test_variable_that_is_written_wrongly_is_one_complaint_with_its_line(address: str, complaint: str) -> None:
    """It does not become part of a password, and nothing of it is shown."""
    found = complaints(f"cameras:\n  a: '{address}'", A="srv")
    assert len(found) == 1
    assert found[0].startswith(f"banken.yaml:2: {complaint}")
    assert not any(word in found[0] for word in ("FRONT", "srv", "geheim", "1X", "h/"))


@pytest.mark.parametrize("text", ["limits: {peers: '${'}", "secret: ['long${']", "cameras: {a: {ffmpeg: [-i, '${X']}}"])
def test_variable_that_is_written_wrongly_is_a_complaint_in_every_type(text: str) -> None:
    """In a number, which takes no variable, and in a list."""
    assert complaints(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("$${B", "${B"),
        ("$${A}", "${A}"),
        ("${A}$${A}", "srv${A}"),
        ("$$${A}", "$${A}"),
        ("$A$$", "$A$$"),
        ("{A}", "{A}"),
    ],
)
def test_dollar_and_brace_can_be_written_as_text(written: str, meant: str) -> None:
    """`$${` is `${`; every other dollar sign is itself."""
    config = read(f"cameras: {{a: 'rtsp://192.0.2.1/{written}'}}", A="srv")
    assert config.cameras[CameraId("a")].address == f"rtsp://192.0.2.1/{meant}"


def test_long_circle_of_substreams_is_named_once() -> None:
    """And not drawn out."""
    names = "".join(f"  c{n:03}: {{source: 'test:64x64', substream: c{(n + 1) % 100:03}}}\n" for n in range(100))
    found = complaints(f"cameras:\n{names}")
    assert len(found) == 1
    assert "c000 → c001" in found[0] and "c009 → …" in found[0]


def test_the_chain_is_noted_where_the_file_says(tmp_path: Path) -> None:
    """In a file beside the configuration, or at a URL whose secret is not shown, or both; 10 minutes by default."""
    text = "journal: {anchor: {file: anchors.jsonl, url: 'https://me:${WORD}@h/x', every: 1m}}"
    config = parse(text, "banken.yaml", {"WORD": "geheim"}, CHECKS, base=tmp_path)
    assert config.anchor == AnchorSettings(tmp_path / "anchors.jsonl", "https://me:geheim@h/x", 60.0)
    assert "geheim" not in f"{config.anchor} {config.anchor.shown}"
    assert read("journal: {anchor: {file: x}}").anchor == AnchorSettings(Path("x"))
    assert AnchorSettings(Path("x")).every_s == 600.0
    assert read("").anchor is None


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("journal/segment-0000000099.sqlite", "must be outside of the journal's folder"),
        ("x/../link/manifest.jsonl", "must be outside of the journal's folder"),
        ("journal", "must be outside of the journal's folder"),
        ("banken.yaml", "is the configuration itself"),
        ("./second-name.yaml", "is the configuration itself"),
    ],
)
def test_anchors_are_noted_in_no_file_of_the_journal_and_not_in_the_configuration(
    tmp_path: Path, file: str, complaint: str
) -> None:
    """By whatever name the file is called. A file beside the journal's folder is taken."""
    (tmp_path / "link").symlink_to("journal")
    (tmp_path / "second-name.yaml").symlink_to("banken.yaml")
    path = tmp_path / "banken.yaml"
    path.write_text(f"journal:\n  anchor: {{file: {file}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {}, CHECKS)
    assert [line for line in caught.value.complaints if f"{path}:2: journal.anchor.file {complaint}" in line]
    path.write_text("journal:\n  anchor: {file: journal.jsonl}\n")
    assert load(path, {}, CHECKS).anchor == AnchorSettings(tmp_path / "journal.jsonl")


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("", "."),
        ("journal: {path: /var/lib/banken/journal}", "/var/lib/banken"),
        ("journal: {path: deep/er/j}", "deep/er"),
        ("journal: {path: deep/er/j}\nstate: {path: other}", "other"),
        ("state: {path: /var/lib/x}", "/var/lib/x"),
    ],
)
def test_state_folder_is_the_given_one_or_holds_the_folder_of_the_journal(text: str, folder: str) -> None:
    """A relative path begins at the folder of the configuration, like every path."""
    assert state_folder(read(text)) == Path(folder)
    below = parse(text, "banken.yaml", {}, CHECKS, base=Path("/etc"))
    assert state_folder(below) == Path("/etc") / folder


@pytest.mark.parametrize("path", [".", "..", "a/.."])
def test_state_folder_of_a_journal_without_a_name_is_beside_it(path: str) -> None:
    """A journal that is the folder of the configuration itself does not contain its state folder."""
    assert state_folder(read(f"journal: {{path: {path}}}")) == Path(os.path.abspath(path)).parent


@pytest.mark.parametrize("path", ["journal", "journal/state", "x/../link"])
def test_state_folder_is_not_in_the_folder_of_the_journal(tmp_path: Path, path: str) -> None:
    """By whatever name it is called: a socket in the journal would be a foreign file."""
    (tmp_path / "link").symlink_to("journal")
    text = f"journal: {{path: journal}}\nstate: {{path: {path}}}"
    with pytest.raises(ConfigError) as caught:
        parse(text, "banken.yaml", {}, CHECKS, base=tmp_path)
    assert caught.value.complaints == ["banken.yaml:2: state.path must be outside of the journal's folder"]


@pytest.mark.parametrize(("text", "line"), [("journal: {path: %s/journal}", ":1"), ("\nstate: {path: %s}", ":2")])
def test_path_of_the_control_socket_has_at_most_100_bytes(text: str, line: str) -> None:
    """No system takes a longer one. The complaint has the path, its length in bytes, and the setting that helps."""
    folder = f"/{'é' * 45}x"
    assert state_folder(read(text % folder)) == Path(folder)
    folder += "x"
    (complaint,) = complaints(text % folder)
    assert complaint == (
        f"banken.yaml{line}: the path of the control socket, '{folder}/control', has 101 bytes, and at most 100 are "
        "possible; set state.path to a folder with a shorter path"
    )


def test_path_of_the_control_socket_is_bounded_without_any_setting_and_shows_no_variable() -> None:
    """The folder of the configuration may be too deep; a value from the environment counts as a secret."""
    with pytest.raises(ConfigError, match=r"^banken\.yaml: the path of the control socket, '/xxx.*has 109 bytes"):
        parse("", "banken.yaml", {}, CHECKS, base=Path(f"/{'x' * 100}"))
    for text, environ in (("state: {path: '/${DEEP}/y'}", "DEEP"), ("", "BANKEN_STATE_PATH")):
        (complaint,) = complaints(text, **{environ: "geheim" * 20})
        assert "geheim" not in complaint and "bytes, and at most 100" in complaint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("journal: {anchor: {}}", "1: journal.anchor needs a file or a url"),
        ("journal: {anchor: {every: 5m}}", "1: journal.anchor needs a file or a url"),
        ("journal: {anchor: x}", "1: journal.anchor must be a mapping"),
        ("journal: {anchor: {file: x, every: 1s}}", "1: journal.anchor.every must be a duration from 10s"),
        ("journal: {anchor: {url: 'ftp://geheim/'}}", "1: journal.anchor.url must be like https://HOST/PATH"),
        ("journal: {anchor: {url: 'http://h/a b'}}", "1: journal.anchor.url must be like"),
        ("journal: {anchor: {url: 'http://h:99999/'}}", "1: journal.anchor.url must be like"),
        (
            "journal: {anchor: {files: x}}",
            "1: unknown key 'files' in journal.anchor; did you mean 'file'? known: file, url, every",
        ),
        ("secret: a", "1: secret must be a list, not a text"),
        ("secret: [abc]", "1: an entry of secret must have 4 characters or more"),
        ("secret:\n- abcd\n- [x]", "3: an entry of secret must be text, not a list"),
        ("secret: ['abcd ']", "1: an entry of secret must not begin or end with a space"),
        (
            f"secret: [{', '.join(f'abcd{n}' for n in range(101))}]",
            "1: secret has 101 entries; at most 100 are allowed",
        ),
    ],
)
def test_wrong_anchors_and_secrets_are_refused_with_their_line(text: str, complaint: str) -> None:
    """And the words of a secret are not repeated."""
    found = complaints(text)
    assert any(f"banken.yaml:{complaint}" in line for line in found), found
    assert not any("geheim" in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "cameras:\n  rtsp://admin:geheim-1@h/s:\n",
        'cameras:\n  "rtsp://admin:geheim-1@h/s": on_demand\n',
        'cameras:\n  "rtsp://admin:geheim-1@h/s": a\n  "rtsp://admin:geheim-1@h/s": b\n',
        '"rtsp://admin:geheim-1@h/s": 1\n',
        '"admin:geheim-1@h": 1\n',
        'cameras: {a: {source: "test:64x64", "password=geheim-1": 1}}',
        'cameras: {a: "rstp//admin:geheim-1@h/s"}',
        'cameras: {a: "test:geheim-1@h/s"}',
        "detections: {token: *geheim-1}",
        "detections: {token: !geheim-1 abc}",
        "detections: {token: !x!geheim-1 abc}",
        "a: &geheim-1 1\nb: &geheim-1 2",
        'devices: {"rtsp://admin:geheim-1@h": {max_connections: 0}}',
        'devices: {"admin:geheim-1@h": {max_connections: 2}}',
        'webrtc: {ice_servers: ["turn:u:geheim-1@h"]}',
        'web: {listen: "u:geheim-1@h:80"}',
        'web: {trusted_proxies: ["u:geheim-1@h"]}',
        'cameras: {a: "rtsp://u:${geheim-1}@h/s"}',
        'cameras: {a: {source: "rtsp://h/s", via: "https://u:geheim-1@h"}}',
        'cameras: {a: {source: "rtsp://h/s", substream: "rtsp://u:geheim-1@h"}}',
        'cameras: {a: "rtsp://admin:geheim-1"}',
        'cameras: {a: {source: "rtsp://admin:geheim-1"}}',
        'cameras: {a: "rtsp://192.0.2.1:geheim-1/s"}',
        'cameras: {a: "rtsp://[::1]:99999/geheim-1"}',
        'cameras: {a: {source: "rtsp://h/s", via: "http://admin:geheim-1"}}',
        'cameras: {a: {source: "rtsp://h/s", via: "https://h/geheim-1"}}',
        'cameras: {a: {source: "rtsp://h/s", mode: "https://h/geheim-1"}}',
        'webrtc: {ice_servers: ["https://h/geheim-1"]}',
        'web: {listen: "https://h/geheim-1"}',
        'web: {trusted_proxies: ["https://h/geheim-1"]}',
        'secret: "geheim-1"',
        "secret: {geheim-1: x}",
        'detections: "geheim-1"',
        "detections: {geheim-1: token}",
        'detections: {score: "geheim-1"}',
        'journal: {anchor: "https://h/geheim-1"}',
        'journal: {anchor: {every: "https://h/geheim-1"}}',
        'journal: {anchor: {"https://h/geheim-1": 10m}}',
        "journal: {anchor: {geheim-1: 10m}}",
        'journal: {"https://h/geheim-1": 10m}',
    ],
)
def test_password_in_a_wrong_configuration_is_in_no_complaint(text: str) -> None:
    """In values, keys, names, aliases and tags; the line is named."""
    for complaint in complaints(text):
        assert "geheim-1" not in complaint


@pytest.mark.parametrize(
    "address", ["rtsp://h:554/s", "rtsp://[::1]:554/s", "rtsp://h/a:b", "file:///a:b/c", "file:/a:b"]
)
def test_colon_in_front_of_a_port_or_in_a_path_hides_nothing(address: str) -> None:
    """Only what is in place of a port may be a password whose host was forgotten."""
    (source,) = parse(f"cameras: {{a: '{address}'}}", "", {}, {"rtsp": _good, "file": _good}).cameras.values()
    assert (source.secrets, source.summary().url) == ((), address)


def _good(source: Source) -> None:
    """Any source will do."""


@pytest.mark.parametrize(
    "wrong",
    [
        "web: {listen: geheim-1}",
        "web: {forwarded: geheim-1}",
        "web: {trusted_proxies: [geheim-1]}",
        "web: {geheim-1: x}",
        "webrtc: {ice_servers: ['geheim-1']}",
        "journal: {retention: geheim-1}",
        "detections: {labels: geheim-1}",
        "detections: {geheim-1: x}",
        "geheim-1: x",
    ],
)
def test_listed_secret_is_hidden_in_complaints_about_every_section(wrong: str) -> None:
    """At any place of `secret` in the file, and whichever section is read first."""
    found = complaints(f"{wrong}\nsecret: [geheim-1]\ncameras: {{a: 'test:64x64'}}")
    assert found
    assert not any("geheim" in line for line in found), found


def test_complaints_have_the_order_of_their_lines() -> None:
    """Whichever section is read first; so a file is corrected from its top."""
    text = "cameras: {a: 'nonsense:x'}\nlimits: {linger: x}\nnonsense: 1\nsecret: a\nweb: {listen: x}\n"
    assert [line.split(":")[1] for line in complaints(text)] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("20 bananas", "'20 bananas'"),
        ("20 minutes", "'20 minutes'"),
        ("20min", "'20min'"),
        ("20bananas", "a text"),
        ("20 bananas and more", "a text"),
        ("hunter2", "a text"),
        ("1 " + "x" * 17, "a text"),
    ],
)
def test_number_with_a_wrong_unit_is_quoted_and_a_text_is_not(value: str, said: str) -> None:
    """A text in place of a number may be a password that is on the wrong line."""
    (complaint,) = complaints(f"limits: {{linger: {value}}}\ncameras: {{a: 'test:64x64'}}")
    assert complaint.endswith(f"like 20s, not {said}")


def test_env_hides_the_same_names_as_redaction_does() -> None:
    """One list of names: a literal value is hidden in an environment as it is in a URL or in JSON."""
    secret = ("JWT", "SESSION", "SIGNATURE", "CAMERA_PIN", "KEY_1", "AWS_ACCESS_KEY_ID", "RTSP_PW", "SRT_PASSPHRASE")
    plain = ("TZ", "LD_LIBRARY_PATH", "AUTHOR", "DESIGN", "MONKEYS")
    env = ", ".join(f"{name}: value-of-{name}" for name in (*secret, *plain))
    source = read(f"cameras: {{a: {{source: 'test:64x64', env: {{{env}}}}}}}").cameras[CameraId("a")]
    assert {*source.secrets} == {f"value-of-{name}" for name in secret}
    assert [name for name in (*secret, *plain) if is_secret(name)] == [*secret]


def test_secrets_of_the_operator_are_hidden_in_every_source() -> None:
    """Values and names: in what is journaled, in what children say, and in complaints; and none is refused for it."""
    text = """
        secret: [streamkey1, "uid=", "${WORD}"]
        cameras:
          a: {ffmpeg: ["-i", "rtmp://h/live/streamkey1?uid=77", "-metadata", "title=geheim"]}
          b: http-of-nothing://h/geheim
          c: rtsp://h/streamkey1
        """
    found = complaints(text, WORD="geheim")
    assert len(found) == 1
    assert "geheim" not in found[0]
    config = read(text.replace("          b: http-of-nothing://h/geheim\n", ""), WORD="geheim")
    a, c = config.cameras.values()
    assert a.summary().url == "-i rtmp://h/live/***?uid=*** -metadata title=***"
    assert c.summary().url == "rtsp://h/***"
    assert set(a.secrets) == {"streamkey1", "uid=", "geheim"}


def test_frame_ancestors_are_origins_over_https_or_of_this_machine() -> None:
    """As browsers compare them in `frame-ancestors`; none by default."""
    listed = ["https://ha.example", "https://HA.example:8443", "https://192.0.2.7", "http://localhost:8123"]
    for text in ([], [*listed, "http://127.0.0.1"]):
        assert read(f"web: {{frame_ancestors: {text}}}").settings["web.frame_ancestors"] == tuple(text)
    assert read("").settings["web.frame_ancestors"] == ()


@pytest.mark.parametrize(
    "origin",
    [
        "http://ha.example", "http://homeassistant.local:8123", "https://ha.example/", "https://ha.example/lovelace",
        "https://*.example", "*", "'self'", "null", "https:", "https://", "ha.example", "https://u@ha.example",
        "https://ha.example:", "https://ha.example:0", "https://ha.example:123456", "https://a;script-src *",
        "https://a,https://b", "https://a b", "https://-a", "http://127.1", "http://localhost.a",
        "http://[::1]:8123", "wss://ha.example", "https://h\u00e4.example",
    ],
)  # fmt: skip
def test_frame_ancestor_that_is_no_such_origin_is_refused(origin: str) -> None:
    """A wildcard, a path, plain HTTP from the network, and all that would change the policy."""
    (complaint,) = complaints(f'web:\n  frame_ancestors: ["{origin}"]')
    assert complaint.startswith("banken.yaml:2: an entry of web.frame_ancestors must be")
