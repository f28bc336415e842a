"""The table of settings: a setting is one entry, and the parser, the reference, the schema and its variable follow."""

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

import configuration
from actors.sources import KINDS
from supervisor.config.config import Config, RecordSettings, Timeouts
from supervisor.config.detectors import KINDS as DETECTORS
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError
from supervisor.config.rewrite import rewritten
from supervisor.config.schema import schema_of
from supervisor.config.settings import SETTINGS
from supervisor.config.table import OWN_VARIABLES, Setting, Table, variable_of
from supervisor.config.types import Count, Duration
from supervisor.domain.ids import CameraId
from supervisor.domain.rights import PROXY_ROLES
from supervisor.domain.values import RecordMode

ROOT = Path(__file__).parents[3]
CAMERAS = "detectors.NAME.cameras"
"""A setting that both kinds of detectors have."""
CHECKS = {name: kind.check for name, kind in KINDS.items()}
LEAST: dict[str, Any] = {
    "cameras": {"front": {"source": "rtsp://192.0.2.10/stream1", "device": "box"}},
    "devices": {"box": {"max_connections": "2"}},
    "journal": {"anchor": {"file": "/srv/anchors"}},
    "detectors": {"look": {"command": ["run"]}, "lab": {"url": "http://192.0.2.20/"}},
    "daemons": {"switcher": {"command": ["run"]}},
    "archives": {"cold": {"path": "/srv/cold"}},
    "access": {"oidc": {"issuer": "https://login.example", "client_id": "banken", "roles": {"admin": ["admins"]}}},
}
"""A configuration in which each setting may be changed alone."""
TOY = Setting("web.test_toy", Duration("1s", "1h"), "5s", "How long the toy plays.", unit="s", old="plaything")
"""A setting that only this test has: the one entry that a new setting needs."""
WITH_TOY = Table((*SETTINGS, TOY))


def real_path(name: str) -> str:
    """A setting in the least configuration."""
    lab = name.rpartition(".")[2] in {"url", *DETECTORS["url"]}
    name = name.replace("cameras.NAME", "cameras.front").replace("devices.NAME", "devices.box")
    name = name.replace("daemons.NAME", "daemons.switcher").replace("archives.NAME", "archives.cold")
    return name.replace("detectors.NAME", f"detectors.{'lab' if lab and name != CAMERAS else 'look'}")


def parse_with(values: dict[str, object], **environ: str) -> Config:
    """The least configuration with these values, by the names of their settings. Raises `ConfigError`."""
    tree: dict[str, Any] = json.loads(json.dumps(LEAST))
    if values.get("parts.detections") == "off":
        del tree["detectors"]
    for name, value in values.items():
        *sections, key = real_path(name).split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = value
    return parse(json.dumps(tree), "a test", environ, CHECKS)


def test_reference_of_the_configuration_is_that_of_the_table() -> None:
    """The page has every setting with its type, default, bounds, unit and meaning, and no other."""
    text = configuration.PAGE.read_text()
    assert text == configuration.page(text), "run python3 ops/configuration.py"


def test_default_that_is_written_out_means_the_same() -> None:
    """A file that spells out every default is the same configuration as one without them."""
    written = {each.name: each.default for each in SETTINGS if each.default is not None}
    assert len(written) > 25
    assert parse_with({name: yaml.safe_load(text) for name, text in written.items()}) == parse_with({})


@pytest.mark.parametrize("setting", SETTINGS.settings, ids=lambda setting: setting.name)
def test_stated_bounds_are_those_of_the_parser(setting: Setting) -> None:
    """Both bounds are accepted, half of the lower and twice the upper are refused; so is a word that is not listed."""
    bounds = re.findall("`([^`]+)`", setting.type.bounds)
    for value in bounds:
        parse_with({setting.name: value})
    wrong = ["something"] if bounds and "` to `" not in setting.type.bounds else []
    if "` to `" in setting.type.bounds:
        (least, unit), (most, last_unit) = (re.findall(r"^([\d.]+)(.*)$", value)[0] for value in bounds[:2])
        wrong += [f"{2 * float(most):.0f}{last_unit}", *([f"{float(least) / 2:g}{unit}"] if float(least) else [])]
    for value in wrong:
        with pytest.raises(ConfigError):
            parse_with({setting.name: value})


EXAMPLES = [
    pytest.param(text, id=f"{document.name}-{number}")
    for document in (ROOT / "README.md", configuration.PAGE)
    for number, text in enumerate(re.findall("```yaml\n(.*?)```", document.read_text(), re.DOTALL), 1)
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_a_configuration_are_accepted(text: str) -> None:
    """An example that somebody copies from the documents gets no complaint and no warning; its files need not exist."""
    environment = {"FRONT_PASSWORD": "s3cr3t", "LAB_TOKEN": "t0k3n", "DETECTOR_TOKEN": "0123456789abcdef",
                   "SWITCHER_TOKEN": "t0k3n"}  # fmt: skip
    config = parse(text, "an example", environment, CHECKS | {"file": lambda source: None})
    assert config.cameras
    assert config.warnings == ()


def test_new_setting_is_read_and_documented_by_one_entry() -> None:
    """The toy is one entry of the table: it is parsed with its bounds, documented, and set by its variable."""
    assert parse("", "a test", {}, {}, table=WITH_TOY).settings["web.test_toy"] == 5.0
    assert parse("web: {test_toy: 7s}", "a test", {}, {}, table=WITH_TOY).settings["web.test_toy"] == 7.0
    environ = {"BANKEN_WEB_TEST_TOY": "9s"}
    assert parse("web: {test_toy: 7s}", "a test", environ, {}, table=WITH_TOY).settings["web.test_toy"] == 9.0
    options = {"web.test_toy": "11s"}
    assert (
        parse("web: {test_toy: 7s}", "a test", environ, {}, options=options, table=WITH_TOY).settings["web.test_toy"]
        == 11.0
    )
    with pytest.raises(
        ConfigError, match=r"a test:1: web\.test_toy must be a duration from 1s to 1h, like 20s, not '0s'"
    ):
        parse("web: {test_toy: 0s}", "a test", {}, {}, table=WITH_TOY)
    page = configuration.page(configuration.PAGE.read_text(), WITH_TOY)
    assert "| `web.test_toy` | duration | `5s` | `1s` to `1h` | s | How long the toy plays. | yes |\n" in page


def test_names_of_settings_and_their_variables_are_unique() -> None:
    """A variable sets one setting, and a former key is in the section of the present one."""
    names = [each.name for each in SETTINGS]
    former = [f"{each.section}.{each.old}" for each in SETTINGS if each.old]
    assert len({variable_of(name) for name in (*names, *former)}) == len(names) + len(former)


def test_option_comes_before_a_variable_and_a_variable_before_the_file() -> None:
    """`check` and the reload know which settings were replaced, and by which variable or option."""
    environ = {"BANKEN_WEB_LISTEN": "127.0.0.1:2", "BANKEN_LIMITS_PEERS": "2"}
    text = "web: {listen: '127.0.0.1:1'}\nlimits: {peers: 1, leases: 1}"
    config = parse(text, "a test", environ, {}, options={"limits.peers": "3"})
    assert (config.port, config.limits.peers, config.limits.leases) == (2, 3, 1)
    assert config.replaced == {"web.listen": "BANKEN_WEB_LISTEN", "limits.peers": "--set limits.peers"}


def test_every_setting_has_a_variable() -> None:
    """The variable of each setting sets the same value as the file does; lists and mappings are written as in it."""
    values = {
        "list of text": "[{listed-text}]", "mapping": "{A: b}", "switch": "on", "count": "7", "size": "64MiB",
        "number": "1", "path": "/srv/a", "text": "given-text-of-some-length",
    }  # fmt: skip
    own = {
        "web.listen": "127.0.0.1:7", "web.trusted_proxies": "[192.0.2.1]", "webrtc.ice_servers": "['stun:h']",
        "journal.anchor.url": "http://h/x", "cameras.NAME.source": "rtsp://h/x", "cameras.NAME.via": "http://h:1984",
        "cameras.NAME.device": "box", "cameras.NAME.substream": "back", "cameras.NAME.ffmpeg": "[-i, x]",
        "web.frame_ancestors": "['https://x']",
        "secret": "[abcdef]", "detections.labels": "[person]", "web.allow_origins": "['https://x']",
        "cameras.NAME.tls.pin": "ab" * 32, "rtsp.listen": "[::1]:8554", "detectors.NAME.url": "http://h/x",
        "detectors.NAME.hints": "{front: x}", "detectors.NAME.cameras": "[front]",
        "detectors.NAME.command": "[run, fast]", "daemons.NAME.command": "[run, fast]", "daemons.NAME.provides": "/day",
        "detectors.NAME.shm": "/seen", "access.proxy.user_header": "X-User", "access.proxy.groups_header": "X-Groups",
        **{f"access.proxy.roles.{role}": "['*']" for role in PROXY_ROLES},
        "record.archive": "cold", "cameras.NAME.record.archive": "cold",
        "record.events.labels": "[person]", "cameras.NAME.record.events.labels": "[person]",
        "cameras.NAME.privacy": "['22:00-06:00']", "access.oidc.issuer": "https://h/x",
        "access.oidc.user_claim": "name", "access.oidc.groups_claim": "roles", "access.oidc.scopes": "[email]",
        **{f"access.oidc.roles.{role}": "[staff]" for role in PROXY_ROLES},
    }  # fmt: skip
    for setting in SETTINGS:
        bounds = re.findall("`([^`]+)`", setting.type.bounds)
        text = own.get(setting.name) or (bounds[-1] if bounds else values[setting.type.word])
        value = text if setting.type.is_scalar else yaml.safe_load(text)
        tree = LEAST | {"cameras": {**LEAST["cameras"], "back": "test:64x64"}}
        if setting.name == "cameras.NAME.ffmpeg":
            tree["cameras"] = {"front": {"device": "box"}, "back": "test:64x64"}
        if setting.name == "parts.detections":
            del tree["detectors"]
        if setting.name == "detectors.NAME.shm":
            tree["detectors"] = {"look": {"cameras": ["front"]}}
        if setting.name == "detectors.NAME.hints":
            tree["detectors"] = {"lab": {"url": "http://h/x", "format": "analyze-v1"}}
        if setting.name == "cameras.NAME.tls.pin":
            tree["cameras"] = {"front": {"source": "rtsps://h/x", "device": "box"}, "back": "test:64x64"}
        *sections, key = real_path(setting.name).split(".")
        filed = json.loads(json.dumps(tree))
        branch = filed
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = value
        environ = {variable_of(real_path(setting.name)): text}
        by_variable = parse(json.dumps(tree), "a test", environ, CHECKS)
        by_file = parse(json.dumps(filed), "a test", {}, CHECKS)
        assert by_variable.replaced == {real_path(setting.name): next(iter(environ))}
        assert attrs.evolve(by_variable, replaced={}) == by_file, setting.name


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"BANKEN_LIMITS_PEERS": "many"}, "BANKEN_LIMITS_PEERS: limits.peers must be a whole number from 1 to"),
        ({"BANKEN_LIMITS_PEERS": "0"}, "BANKEN_LIMITS_PEERS: limits.peers must be a whole number from 1 to"),
        ({"BANKEN_LIMITS_PEERS": ""}, "BANKEN_LIMITS_PEERS: is empty; unset it, or give it a value"),
        ({"BANKEN_SECRET": "abcdef"}, "BANKEN_SECRET: secret must be a list, not a text"),
        ({"BANKEN_SECRET": "{a: b}"}, "BANKEN_SECRET: secret must be a list, not a mapping"),
        ({"BANKEN_SECRET": "[a"}, "BANKEN_SECRET: is not YAML; list of text must be written as in the file"),
        ({"BANKEN_CAMERAS_FRONT_ENV": "[a]"}, "BANKEN_CAMERAS_FRONT_ENV: env of camera 'front' must be a mapping"),
        ({"BANKEN_CAMERAS_FRONT_ENV": "{A: b, A: c}"}, "BANKEN_CAMERAS_FRONT_ENV: duplicate key 'A'"),
        ({"BANKEN_CAMERAS_FRONT_MODE": "often"}, "BANKEN_CAMERAS_FRONT_MODE: mode of camera 'front' must be always,"),
        ({"BANKEN_DEVICES_BOX_MAX_CONNECTIONS": "0"}, "BANKEN_DEVICES_BOX_MAX_CONNECTIONS: max_connections of device"),
        ({"BANKEN_JOURNAL_ANCHOR_EVERY": "1s"}, "BANKEN_JOURNAL_ANCHOR_EVERY: journal.anchor.every must be a duration"),
        ({"BANKEN_DETECTIONS_TOKEN": "short"}, "BANKEN_DETECTIONS_TOKEN: detections.token must have 16 characters"),
    ],
)
def test_complaint_about_a_variable_names_it_in_place_of_a_line(variables: dict[str, str], complaint: str) -> None:
    """An empty variable is wrong, too: nothing is ignored."""
    with pytest.raises(ConfigError) as caught:
        parse_with({}, **variables)
    assert caught.value.complaints[0].startswith(complaint)


def test_cameras_whose_names_give_one_variable_cannot_be_set_by_it() -> None:
    """Each of them can be set in the file, and by an option."""
    text = "cameras: {a-b: 'test:64x64', a_b: 'test:64x64'}"
    with pytest.raises(ConfigError, match=r"^BANKEN_CAMERAS_A_B_MODE: may be cameras\.a-b\.mode or cameras\.a_b\.mode"):
        parse(text, "a test", {"BANKEN_CAMERAS_A_B_MODE": "on_demand"}, CHECKS)
    config = parse(text, "a test", {}, CHECKS, options={"cameras.a_b.mode": "on_demand"})
    assert [source.mode for source in config.cameras.values()] == ["always", "on_demand"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("web.listen", "geheim-1"),
        ("web.forwarded", "geheim-1"),
        ("web.trusted_proxies", "[geheim-1]"),
        ("web.trusted_proxies", "{geheim-1: x}"),
        ("web.trusted_proxies", "[geheim-1"),
        ("webrtc.ice_servers", "['geheim-1']"),
        ("journal.anchor.url", "ftp://geheim-1"),
        ("limits.peers", "geheim-1"),
        ("detections.token", "geheim-1"),
        ("cameras.front.source", "geheim-1:x"),
        ("cameras.front.source", "rtsp://u:geheim-1@/x"),
        ("cameras.front.via", "https://u:geheim-1@h"),
        ("cameras.front.via", "geheim-1"),
        ("cameras.front.mode", "geheim-1"),
        ("cameras.front.env", "{geheim-1: x}"),
        ("cameras.front.source", "test:geheim"),
        ("cameras.front.source", "file:///geheim.mp4"),
        ("cameras.front.source", "rtsp://geheim:x/"),
        ("detections.labels", "[geheim, geheim]"),
    ],
)
def test_value_of_a_variable_or_an_option_is_shown_in_no_complaint(name: str, value: str) -> None:
    """A secret in the wrong variable does not reach the log."""
    for environ, options in (({variable_of(name): value}, {}), ({}, {name: value})):
        with pytest.raises(ConfigError) as caught:
            parse(json.dumps(LEAST), "a test", environ, CHECKS, options=options)
        assert caught.value.complaints
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("limits.peers", "1234567", "not '***'"),
        ("limits.peers", "9" * 20, "not a number of 20 digits"),
        ("detections.score", "7.25", "not '***'"),
        ("limits.idle", "77777d", "not '***'"),
        ("web.listen", "0.0.0.0:99999", "not '***'"),
        ("web.trusted_proxies", "['0.0.0.0/0']", "'***' is every address"),
    ],
)
def test_number_of_a_variable_or_an_option_is_not_shown_either(name: str, value: str, reason: str) -> None:
    """The rule is the same for all values: the reason is said without the value."""
    for environ, options in (({variable_of(name): value}, {}), ({}, {name: value})):
        with pytest.raises(ConfigError) as caught:
            parse(json.dumps(LEAST), "a test", environ, CHECKS, options=options)
        (complaint,) = caught.value.complaints
        assert value.strip("[']") not in complaint
        assert reason in complaint


def test_variable_is_not_expanded() -> None:
    """A token with `${` in it is a token."""
    environ = {"BANKEN_DETECTIONS_TOKEN": "0123456789${HOME}", "HOME": "/root"}
    assert parse_with({}, **environ).detector_token == "0123456789${HOME}"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("BANKEN_LIMITS_PEER", "; did you mean BANKEN_LIMITS_PEERS?"),
        ("BANKEN_LIMIT_PEERS", "; did you mean BANKEN_LIMITS_PEERS?"),
        ("BANKEN_CAMERAS_FRONT_MOD", "; did you mean BANKEN_CAMERAS_FRONT_MODE?"),
        ("BANKEN_DETECTION_TOKEN", "; did you mean BANKEN_DETECTIONS_TOKEN?"),
        ("BANKEN_UTL", "; did you mean BANKEN_URL?"),
        ("BANKEN_NOPE", ""),
        ("BANKEN_", ""),
        ("BANKEN_PORT", ""),
        ("BANKEN_CAMERAS", ": each setting of a section has its own, like BANKEN_CAMERAS_FRONT_SOURCE"),
        ("BANKEN_CAMERAS_FRONT", ": each setting of a section has its own, like BANKEN_CAMERAS_FRONT_SOURCE"),
        ("BANKEN_WEB", ": each setting of a section has its own, like BANKEN_WEB_LISTEN"),
    ],
)
def test_unknown_variable_of_banken_causes_a_warning(name: str, hint: str) -> None:
    """It may belong to something else, so it is not an error. Its value is not shown."""
    assert parse_with({}, **{name: "geheim"}).warnings == (f"{name}: is the variable of no setting{hint}",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTHER", "x"),
        ("MY_BANKEN_X", "x"),
        ("BANKEN_URL", "http://h"),
        ("BANKEN_CONFIG", "x"),
        ("BANKEN_JOURNAL", "x"),
        ("BANKEN_CHILD", "x"),
        ("BANKEN_PORT", "tcp://10.0.0.1:8620"),
        ("BANKEN_WEB_PORT", "tcp://10.0.0.1:8620"),
        ("BANKEN_PORT_8620_TCP", "x"),
        ("BANKEN_PORT_8620_TCP_ADDR", "x"),
        ("BANKEN_SERVICE_HOST", "x"),
        ("BANKEN_SERVICE_PORT_HTTP", "x"),
    ],
)
def test_known_variable_causes_no_warning(name: str, value: str) -> None:
    """Those of banken's commands and children, and those that a cluster adds for a service with this name."""
    assert parse_with({}, **{name: value}).warnings == ()


def test_every_variable_in_the_code_is_known() -> None:
    """A variable that a command or a test reads causes no warning; each known one is read somewhere."""
    folders = (ROOT / name for name in ("supervisor", "actors", "web", "tests/kit", "tests/conftest.py"))
    files = [file for folder in folders for file in ([folder] if folder.is_file() else folder.rglob("*.py"))]
    read = {name for file in files for name in re.findall(r'["\'](BANKEN_[A-Z_]+)["\']', file.read_text())}
    assert read - {variable_of(setting.name) for setting in SETTINGS} == OWN_VARIABLES


def test_misspelled_option_is_a_complaint() -> None:
    """An option is nobody else's."""
    with pytest.raises(ConfigError, match=r"^--set web\.listn: there is no such setting; did you mean web\.listen\?$"):
        parse("", "a test", {}, {}, options={"web.listn": "127.0.0.1:1"})
    with pytest.raises(ConfigError, match=r"such setting; did you mean cameras\.front\.mode\?$"):
        parse(json.dumps(LEAST), "a test", {}, CHECKS, options={"cameras.front.mod": "always"})


def test_device_of_a_camera_gets_its_limit_by_a_variable_alone() -> None:
    """The section `devices` need not name it."""
    text = "cameras: {a: 'rtsp://192.0.2.10/1'}"
    config = parse(text, "a test", {"BANKEN_DEVICES_192_0_2_10_MAX_CONNECTIONS": "2"}, CHECKS)
    assert [(each.device, each.max_connections) for each in config.devices] == [("192.0.2.10", 2)]


def test_former_name_is_read_with_a_warning() -> None:
    """In the file and as a variable; both names at once are one key twice."""
    config = parse("web:\n  plaything: 7s", "a test", {}, {}, table=WITH_TOY)
    assert config.settings["web.test_toy"] == 7.0
    assert config.warnings == (
        "a test:2: plaything of web is now called test_toy; `banken check --rewrite` renames it",
    )
    config = parse("", "a test", {"BANKEN_WEB_PLAYTHING": "8s"}, {}, table=WITH_TOY)
    assert config.settings["web.test_toy"] == 8.0
    assert config.warnings == ("BANKEN_WEB_PLAYTHING: web.plaything is now called web.test_toy",)
    with pytest.raises(ConfigError, match=r"^a test:1: duplicate key 'test_toy'; the first is on line 1$"):
        parse("web: {plaything: 7s, test_toy: 8s}", "a test", {}, {}, table=WITH_TOY)


def test_camera_has_the_common_timeouts_and_may_have_its_own() -> None:
    """Each of them alone; a camera that is only an address has the common ones."""
    text = """
        timeouts: {connect: 20s, stall: 30s}
        cameras:
          plain: rtsp://192.0.2.10/1
          own: {source: "rtsp://192.0.2.11/1", timeouts: {stall: 7s, first_picture: 120}}
          auto: {source: "rtsp://192.0.2.12/1", timeouts: {stall: auto}}
        """
    config = parse(text, "a test", {"BANKEN_CAMERAS_OWN_TIMEOUTS_ANSWER": "5s"}, CHECKS)
    plain, own, auto = config.cameras.values()
    assert config.timeouts == plain.timeouts == Timeouts(20.0, 10.0, 15.0, 30.0)
    assert own.timeouts == Timeouts(20.0, 5.0, 120.0, 7.0)
    assert auto.timeouts == Timeouts(20.0, 10.0, 15.0, 0.0)
    assert parse("", "a test", {}, {}).timeouts == Timeouts()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("timeouts: {stall: 4s}", r"timeouts\.stall must be a duration from 5s to 120s, like 20s, or auto, not '4s'"),
        ("timeouts: 30s", r"timeouts must be a mapping of keys to values, not a text"),
        ("cameras: {a: {source: 'rtsp://h/x', timeouts: {answer: 121s}}}",
         r"timeouts\.answer of camera 'a' must be a duration from 5s to 120s, like 20s, not '121s'"),
        ("cameras: {a: {source: 'test:', timeouts: {conect: 9s}}}",
         r"unknown key 'conect' in timeouts of camera 'a'; did you mean 'connect'\?"),
        ("cameras: {a: {source: 'rtsp://h/x', audio: mute}}", r"audio of camera 'a' must be on or off, not a text"),
        ("cameras: {a: {source: 'rtsp://h/x', audio: 1}}", r"audio of camera 'a' must be on or off, not '1'"),
        ("cameras: {a: {source: 'rtsp://h/x', audio: [off]}}", r"audio of camera 'a' must be on or off, not a list"),
    ],
)  # fmt: skip
def test_wrong_timeout_or_audio_is_a_complaint(text: str, complaint: str) -> None:
    """It names the camera, the bounds and the value."""
    with pytest.raises(ConfigError, match=f"^a test:1: {complaint}"):
        parse(text, "a test", {}, CHECKS)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("off", False), ("false", False), ("no", False), ("'off'", False), ("on", True), ("true", True), ("yes", True)],
)
def test_audio_of_a_camera_is_on_or_off(written: str, wanted: bool) -> None:
    """Also as a boolean of YAML. Without the setting it is on."""
    text = f"cameras: {{a: {{source: 'rtsp://h/x', audio: {written}}}, b: 'test:'}}"
    assert [source.audio for source in parse(text, "a test", {}, CHECKS).cameras.values()] == [wanted, True]


OF_A_KIND = {
    "via": "http://127.0.0.1:1984", "transport": "udp", "auth": "digest", "tls.pin": "ab" * 32, "audio": False,
    "timeouts.connect": "20s", "timeouts.answer": "20s",
}  # fmt: skip
"""The settings that count for some kinds of sources only, each with a value."""
ADDRESSES = {
    "rtsp": "rtsp://192.0.2.10/1", "rtsps": "rtsps://192.0.2.10/1", "file": Path(__file__).as_uri(), "test": "test:",
    "shm": "shm:/gate", "ffmpeg": ["-i", "http://h/x"],
}  # fmt: skip


@pytest.mark.parametrize("kind", ADDRESSES)
@pytest.mark.parametrize("setting", OF_A_KIND)
def test_setting_that_means_nothing_for_a_source_is_a_complaint(setting: str, kind: str) -> None:
    """It names the setting, its place and the sources for which it counts; at these the setting is taken."""
    *outer, last = setting.split(".")
    value: object = {last: OF_A_KIND[setting]} if outer else OF_A_KIND[setting]
    camera = {"ffmpeg" if kind == "ffmpeg" else "source": ADDRESSES[kind], outer[0] if outer else last: value}
    text = json.dumps({"cameras": {"a": camera}})
    sources = SETTINGS.by_name[f"cameras.NAME.{setting}"].sources
    if kind in sources:
        assert list(parse(text, "a test", {}, CHECKS).cameras) == ["a"]
        return
    with pytest.raises(ConfigError) as caught:
        parse(text, "a test", {}, CHECKS)
    (complaint,) = caught.value.complaints
    assert complaint.startswith(f"a test:1: camera 'a': `{setting}` counts only for ")
    assert complaint.endswith("; leave it out")
    assert all(f"{source}:" in complaint for source in sources)
    assert f", not for {kind}:" in complaint


def test_every_setting_of_a_camera_counts_for_all_sources_or_names_its_own() -> None:
    """A setting that only one kind of source reads is in the table of the test above; patience for a picture is not."""
    assert set(ADDRESSES) == {*CHECKS, "rtsps"} - {"go2rtc"}
    limited = {each.name.removeprefix("cameras.NAME.") for each in SETTINGS if each.sources}
    assert limited == set(OF_A_KIND)
    for_all = {
        each.name.removeprefix("cameras.NAME.") for each in SETTINGS if each.name.startswith("cameras.")
    } - limited
    assert for_all == {
        "source", "ffmpeg", "device", "mode", "group", "substream", "env", "transcode", "privacy", "record.mode",
        "record.archive", "record.keep", "record.audio", "record.max_size", "record.events.keep",
        "record.events.before", "record.events.after", "record.events.labels",
        "timeouts.first_picture", "timeouts.stall",
    }  # fmt: skip
    assert {each.name.rpartition(".")[0] for each in SETTINGS if each.sources} <= {
        "cameras.NAME", "cameras.NAME.tls", "cameras.NAME.timeouts",
    }  # fmt: skip


def test_motion_needs_the_part_that_reports_it() -> None:
    """A setting that could not work is a complaint."""
    with pytest.raises(ConfigError, match=r"^a test:2: detections\.motion needs parts\.detections to be on$"):
        parse("parts: {detections: off}\ndetections: {motion: on}", "a test", {}, {})
    assert parse("parts: {detections: off, rooms: off}", "a test", {}, {}).off == {"detections", "rooms"}


DAY_S = 86_400.0
RECORDED = (
    "record: {keep: 20d, events: {after: 30s, labels: [cat]}}\ncameras:\n  front:\n    source: 'test:'\n    record: "
)


@pytest.mark.parametrize(
    ("record", "mode", "settings"),
    [
        ("", RecordMode.OFF, RecordSettings(20 * DAY_S, 30 * DAY_S, 5.0, 30.0, ("cat",))),
        ("off", RecordMode.OFF, RecordSettings(20 * DAY_S, 30 * DAY_S, 5.0, 30.0, ("cat",))),
        ("true", RecordMode.ALWAYS, RecordSettings(20 * DAY_S, 30 * DAY_S, 5.0, 30.0, ("cat",))),
        ("demand", RecordMode.DEMAND, RecordSettings(20 * DAY_S, 30 * DAY_S, 5.0, 30.0, ("cat",))),
        ("{mode: events, keep: 40d}", RecordMode.EVENTS, RecordSettings(40 * DAY_S, 40 * DAY_S, 5.0, 30.0, ("cat",))),
        (
            "{mode: always, events: {keep: 50d, before: 0s, labels: []}}",
            RecordMode.ALWAYS,
            RecordSettings(20 * DAY_S, 50 * DAY_S, 0.0, 30.0),
        ),
    ],
)
def test_recording_of_a_camera_is_a_word_or_a_mapping(record: str, mode: RecordMode, settings: RecordSettings) -> None:
    """The common section has the rest; files with events are kept at least as long as others."""
    source = parse(f"{RECORDED}{record}", "a test", {}, CHECKS).cameras[CameraId("front")]
    assert (source.record, source.recording) == (mode, settings)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ("alwys", "record.mode of camera 'front' must be off, always, events or demand, not 'alwys'"),
        ("[always]", "record of camera 'front' must be a mapping of keys to values, not a list"),
        ("{mod: events}", "unknown key 'mod' in record of camera 'front'; did you mean 'mode'?"),
        ("{mode: events, keep: 3m}", "record.keep of camera 'front' must be a duration from 1h to 3650d"),
        ("demand\n    mode: patrol", "camera 'front' cannot be recorded, because a patrol opens it only now and then"),
        ("events\nparts: {detections: off}", "camera 'front': record: events needs parts.detections to be on"),
    ],
)
def test_wrong_recording_is_named_with_its_line(record: str, complaint: str) -> None:
    """One complaint, whether it is a word or a mapping."""
    with pytest.raises(ConfigError) as refused:
        parse(f"{RECORDED}{record}", "a test", {}, CHECKS)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"a test:5: {complaint}")


def test_rewritten_configuration_has_the_present_names_and_is_otherwise_the_same() -> None:
    """Comments, quotes, order and spaces stay; a key of the same name elsewhere is not touched."""
    text = (
        "# ours\nweb:  # the page\n  'plaything' : 7s   # long\n  listen: 127.0.0.1:1\ncameras: {plaything: 'test:'}\n"
    )
    assert rewritten(text, "a test", WITH_TOY) == text.replace("'plaything' :", "test_toy :")
    flow = 'web: {"plaything": 7s, listen: "plaything:1"}'
    assert rewritten(flow, "a test", WITH_TOY) == flow.replace('"plaything":', "test_toy:")
    both = Table((*WITH_TOY, Setting("web.knob", Count(), "1", "Turns.", old="handle")))
    assert rewritten("web: {plaything: 7s, handle: 2}", "a test", both) == "web: {test_toy: 7s, knob: 2}"
    assert rewritten("", "a test", WITH_TOY) == ""


def test_rewritten_configuration_is_good_at_any_place_of_the_key() -> None:
    """Marks count characters: letters beyond ASCII, and line ends of Windows, do not move them."""
    text = "secret: [Küchenuhr]\r\nweb:\r\n  plaything: 7s\r\n"
    assert rewritten(text, "a test", WITH_TOY) == text.replace("plaything", "test_toy")


def test_section_that_an_alias_repeats_is_rewritten_once() -> None:
    """The text stands once."""
    text = "web: &w {plaything: 7s}\nlog: *w\n"
    assert rewritten(text, "a test", WITH_TOY) == "web: &w {test_toy: 7s}\nlog: *w\n"


def test_schema_has_every_setting_with_its_type_bounds_and_default() -> None:
    """Each setting is at its path, unknown keys are refused, and examples of the reference have the shape."""
    schema = schema_of(WITH_TOY)
    for setting in WITH_TOY:
        at = schema
        for key in setting.name.split("."):
            assert at.get("additionalProperties") is False or key == "NAME"
            at = at["additionalProperties"] if key == "NAME" else at["properties"][key]
            at = at["anyOf"][1] if "anyOf" in at else at
        assert setting.help in at["description"]
        assert ("default" in at) == (setting.default is not None)
        assert "type" in at or "enum" in at
    web = schema["properties"]["web"]["properties"]
    assert web["test_toy"]["default"] == "5s" and web["plaything"]["deprecated"] is True
    limits = schema["properties"]["limits"]["properties"]
    assert (limits["peers"]["minimum"], limits["peers"]["maximum"], limits["peers"]["default"]) == (1, 999_999, 64)
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("text", EXAMPLES)
def test_schema_takes_the_examples_of_the_documents(text: str) -> None:
    """Each value has a permitted type, matches its pattern, and is within its bounds."""
    assert mismatches(yaml.safe_load(text), schema_of(SETTINGS)) == []


@pytest.mark.parametrize(
    "text",
    ["wbe: {}", "limits: {peers: 0}", "limits: {peers: x}", "parts: {rooms: 7}", "log: {format: xml}",
     "detections: {labels: x}", "detections: {labels: [a, a]}", "limits: {idle: soon}", "cameras: {a: {mode: often}}"],
)  # fmt: skip
def test_schema_refuses_what_the_parser_refuses(text: str) -> None:
    """Unknown keys, wrong types, and values out of their bounds."""
    assert mismatches(yaml.safe_load(text), schema_of(SETTINGS))
    with pytest.raises(ConfigError):
        parse(text, "a test", {}, CHECKS)


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def mismatches(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """The places at which `value` is not what `schema` describes, by the keywords that our schema uses."""
    if "anyOf" in schema:
        each = [mismatches(value, one, path) for one in schema["anyOf"]]
        return [] if [] in each else each[-1]
    found = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) and not isinstance(value, bool) for kind in kinds):
        return [path]
    if "enum" in schema and value not in schema["enum"]:
        found.append(path)
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(path)
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(path)
    if isinstance(value, list):
        found += [path] * (len(value) > schema.get("maxItems", len(value)))
        found += [path] * (schema.get("uniqueItems", False) and len({*value}) < len(value))
        for entry in value:
            found += mismatches(entry, schema["items"], f"{path}[]")
    if isinstance(value, dict):
        for key, below in value.items():
            further = schema.get("additionalProperties", True)
            known = schema.get("properties", {}).get(key, further)
            if known is False:
                found.append(f"{path}.{key}")
            elif known is not True:
                found += mismatches(below, known, f"{path}.{key}")
    return found


def test_retention_of_the_journal_has_a_former_name() -> None:
    """0.1.0 called it `keep`."""
    config = parse("journal:\n  keep: 30d", "a test", {}, {})
    assert config.retention.keep_s == 30 * 86_400.0
    assert config.warnings == (
        "a test:2: keep of journal is now called retention; `banken check --rewrite` renames it",
    )


def test_camera_chooses_whether_its_audio_is_transcoded_for_recordings() -> None:
    """Its own value counts before the common one, which counts for all others; without any, nothing is transcoded."""

    def read(tree: dict[str, object]) -> list[bool]:
        found = parse(json.dumps(tree), "a test", {}, CHECKS).cameras
        return [source.recording.audio for source in found.values()]

    other = {"source": "rtsp://192.0.2.1/"}
    for common, own in ((True, False), (False, True)):
        cameras = {"own": {**other, "record": {"mode": "always", "audio": own}}, "other": other}
        assert read({"record": {"audio": common}, "cameras": cameras}) == [own, common]
    assert read({"cameras": {"other": other}}) == [False]
