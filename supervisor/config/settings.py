"""The table of settings. A new setting is one entry here: the parser, `check`, the reference, the schema and
its variable follow. Its readers take it from `Config.settings`, or from the attribute that `field` names.

Each entry: its name, its type with its bounds, its default as written in a file, and its meaning.
"""

from ..domain.rights import PROXY_ROLES
from .table import OWN_ENVIRONMENT, Setting, Table
from .types import (
    Address,
    BitRate,
    Count,
    Duration,
    Environment,
    File,
    ListOf,
    Network,
    Number,
    OneOf,
    Size,
    Switch,
    Text,
    Texts,
    TimesOfWeek,
    TlsChoice,
)

DEFAULT_LISTEN = "127.0.0.1:8620"
TRANSPORTS = ("auto", "tcp", "udp", "http", "multicast")
AUTHENTICATIONS = ("any", "digest")
MODES = ("always", "on_demand", "patrol")
RECORD_MODE = OneOf(("off", "always", "events", "demand"), on="always")
KEEP = Duration("1h", "3650d")
SYNC, SIZE = Duration("1s", "60s"), Size("64MiB", "1024TiB")
BEFORE, AFTER = Duration("0s", "30s"), Duration("1s", "10m")
RTSP = ("rtsp", "rtsps")
"""Sources that are read by RTSP, also `via` another server."""
TRANSCODE = OneOf(("auto", "never", "always"))
FORWARDED = ("x-forwarded", "forwarded")
"""The families of headers in which a proxy may name the client."""
ANCESTOR = Text(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[1-9][0-9]{0,4})?"
    r"|http://(?:localhost|127(?:\.[0-9]{1,3}){3})(?::[1-9][0-9]{0,4})?",
    form="an origin like https://ha.example, without a path, or http://localhost:8123 on this machine",
    bounds="https://HOST:PORT, or http://localhost:PORT, without a path",
)
HEADER = Text(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of a header", "a name like X-Remote-User")
CLIENT_ID = Text(
    r"[\x21-\x7e]{1,255}", "at most 255 printable ASCII characters", "at most 255 printable ASCII characters"
)
CLIENT_SECRET = Text(least=8, why="nobody guesses it", bounds="at least 8 printable ASCII characters, without spaces")
SCOPE = Text(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}", "a scope without spaces", "scopes without spaces")
CLAIM = Text(r"[A-Za-z0-9_.:/-]{1,100}", "the name of a claim", "a name like groups")
FORMATS = ("banken", "analyze-v1")
"""How a service is called with pictures; see `ops/docs/detectors.md`."""
STUN = Text(
    r"stuns?:[^\s/]+",
    form="like stun:HOST:PORT",
    bounds="stun:HOST:PORT or stuns:HOST:PORT",
)
TOKEN = Text(least=16, why="nobody guesses it", bounds="at least 16 characters")
TIMEOUTS = {
    "connect": ("10s", "How long an RTSP camera may take to accept a connection, with its TLS handshake."),
    "answer": ("10s", "How long an RTSP camera may take to answer one request."),
    "first_picture": (
        "15s",
        "How long an opened source may take until its first key frame. For an RTSP camera the time begins when it "
        "agrees to play. A camera with rare key frames needs more than its interval.",
    ),
    "stall": (
        "auto",
        "A connection that delivers no picture for this long is ended, and the camera is opened again. `auto`: 6 s; "
        "for a camera whose pictures come seconds apart, three of its usual intervals, up to "
        "`timeouts.first_picture`.",
    ),
}
"""Each with its default and its meaning. A camera may have its own."""
OF_RTSP = ("connect", "answer")
"""Those of the steps that only RTSP has."""
PATIENCE = {key: Duration("5s", "120s", auto=default == "auto") for key, (default, _) in TIMEOUTS.items()}
PIN = Text(
    r"(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}",
    form="the SHA-256 of a certificate, 64 hexadecimal digits with or without colons",
    bounds="64 hexadecimal digits, with or without colons",
)
TOKEN_OF_SERVICE = Text(
    r"[\x21-\x7e]+",
    form="text without spaces",
    least=4,
    why="it blanks nothing else",
    bounds="at least 4 printable ASCII characters",
)
SEGMENT = Text(
    r"/(?!\.{1,2}$)[^/]{1,255}",
    form="one slash and a name without slashes, like /pet_camera_stream",
    bounds="one slash and a name",
)
HIDDEN_TEXT = Text(least=4, why="it blanks nothing else", padded=False)

SETTINGS = Table(
    (
        Setting(
            "web.listen", Address(), DEFAULT_LISTEN,
            "The address and TCP port of the page and the API. Beyond loopback everybody logs in; until the "
            "first user is made, only the page of the setup link is served.",
            reloadable=False, field="listen",
        ),
        Setting(
            "web.tls", TlsChoice(), "auto",
            "`auto`: off on a loopback address, else a certificate of banken's own CA; see "
            "[operations.md](operations.md#https). Files are read again when they change.",
            reloadable=False, field="tls",
        ),
        Setting(
            "web.allow_origins", ListOf(), "[]",
            "Web origins of other sites whose pages may call the API, like `https://cams.example`. banken also "
            "answers to the host names in them.",
            reloadable=False, field="allow_origins",
        ),
        Setting(
            "web.frame_ancestors", ListOf(ANCESTOR, bounds=ANCESTOR.bounds), "[]",
            "Web origins of other sites, like Home Assistant, whose pages may show banken's page in a frame. See "
            "[operations.md](operations.md#in-a-frame).",
            reloadable=False,
        ),
        Setting(
            "web.trusted_proxies", ListOf(Network(), bounds=Network.bounds), "[]",
            "The proxies that may name the client. See [proxy.md](proxy.md).",
            reloadable=False, field="trusted_proxies",
        ),
        Setting(
            "web.forwarded", OneOf(FORWARDED), "x-forwarded",
            "The family of headers in which a trusted proxy names the client: `X-Forwarded-For`, or `Forwarded` "
            "(RFC 7239).",
            reloadable=False, field="forwarded",
        ),
        Setting(
            "access.proxy.user_header", HEADER, None,
            "The header in which a trusted proxy names the user that it has let in. Without it, all requests of the "
            "proxy have the role that `access.proxy.roles` gives to `*`. See [proxy.md](proxy.md#access).",
            reloadable=False, otherwise="none",
        ),
        Setting(
            "access.proxy.groups_header", HEADER, None,
            "The header in which it names the groups of this user, separated by commas.",
            reloadable=False, otherwise="none",
        ),
        *(
            Setting(
                f"access.proxy.roles.{role}", ListOf(once="it is the same role"), "[]",
                f"Users, and groups behind `group:`, that have the role {role} by the word of the proxy; `*` is "
                "everybody whom it lets in.",
                reloadable=False,
            )
            for role in PROXY_ROLES
        ),
        Setting(
            "access.oidc.issuer", Text(bounds="https; or http on loopback"), None,
            "A login provider of OpenID Connect, as its ID tokens name it. See [oidc.md](oidc.md).",
            reloadable=False, otherwise="none",
        ),
        Setting(
            "access.oidc.client_id", CLIENT_ID, None, "The name by which the provider knows banken.",
            reloadable=False, otherwise="required with an issuer",
        ),
        Setting(
            "access.oidc.client_secret", CLIENT_SECRET, None, "The secret of this client; best as `${NAME}`.",
            reloadable=False, otherwise="none; a public client",
        ),
        Setting(
            "access.oidc.name", Text(r".{1,60}", "text of at most 60 characters", "at most 60 characters"), None,
            "The name of the provider on the page.",
            reloadable=False, otherwise="the host of the issuer",
        ),
        Setting(
            "access.oidc.scopes", ListOf(SCOPE, most=20, bounds="at most 20 scopes"), "[profile]",
            "The scopes that banken requests; `openid` is always one of them.",
            reloadable=False,
        ),
        Setting(
            "access.oidc.user_claim", CLAIM, "preferred_username",
            "The claim of the ID token with the name of a new account.",
            reloadable=False,
        ),
        Setting(
            "access.oidc.groups_claim", CLAIM, "groups", "The claim of the ID token with a list of groups.",
            reloadable=False,
        ),
        *(
            Setting(
                f"access.oidc.roles.{role}", ListOf(once="it is the same role"), None,
                f"Groups whose members have the role {role}. Of several roles the one with the most rights counts.",
                reloadable=False, otherwise="nobody",
            )
            for role in PROXY_ROLES
        ),
        Setting(
            "access.oidc.session", Duration("5m", "90d"), "12h",
            "After this time a login by the provider ends, used or not.",
            unit="s", reloadable=False,
        ),
        Setting(
            "access.oidc.ca", File(bounds="certificates as PEM"), None,
            "The CAs that may sign the provider's certificate.",
            reloadable=False, otherwise="those of the system",
        ),
        Setting(
            "parts.dashboard", Switch(), "on", "The page and its files.",
            reloadable=False,
        ),
        Setting(
            "parts.metrics", Switch(), "on", "The metrics for Prometheus.",
            reloadable=False,
        ),
        Setting(
            "parts.rooms", Switch(), "on", "Rooms, in which clients negotiate connections to each other.",
            reloadable=False,
        ),
        Setting(
            "parts.detections", Switch(), "on", "Reports of detectors, the suggestions that follow, and motion.",
            reloadable=False,
        ),
        Setting(
            "journal.path", File(), "journal", "The folder of the journal.",
            reloadable=False, field="journal",
        ),
        Setting(
            "journal.retention", Duration("1h", "3650d"), "90d", "Events older than this are removed.",
            unit="s", reloadable=False, field="retention.keep_s", old="keep",
        ),
        Setting(
            "journal.max_size", Size("16MiB", "1024TiB"), "4GiB",
            "Beyond this size the oldest events are removed, also when they are younger than `retention`.",
            unit="bytes", reloadable=False, field="retention.max_bytes",
        ),
        Setting(
            "journal.anchor.file", File(bounds="outside of the journal's folder, and not the configuration"), None,
            "A file to which the daemon appends the end of the journal's chain.",
            reloadable=False,
        ),
        Setting(
            "journal.anchor.url", Text(bounds="http or https"), None,
            "An address to which the daemon posts the end of the chain as JSON.",
            reloadable=False,
        ),
        Setting(
            "journal.anchor.every", Duration("10s", "1d"), "10m", "The time between two anchors.",
            unit="s", reloadable=False,
        ),
        Setting(
            "state.path", File(bounds="outside of the journal's folder; at most 92 bytes"), None,
            "The folder of what the daemon keeps beside its journal, like its certificates and its control socket. "
            "One folder serves one daemon.",
            reloadable=False, field="state", otherwise="the folder that holds the journal's folder",
        ),
        Setting(
            "record.path", File(), "recordings", "The folder of the recordings; see [recording](#recording).",
            reloadable=False,
        ),
        Setting(
            "record.sync", SYNC, "10s",
            "How often recordings are synced: a power failure costs at most this time and one fragment of a second.",
            unit="s", reloadable=False,
        ),
        Setting(
            "record.keep", KEEP, "14d", "Recordings older than this are removed, if nothing was detected in them.",
            unit="s", reloadable=False,
        ),
        Setting(
            "record.max_size", SIZE, None,
            "Beyond this size the oldest recordings are removed, also when they are younger than `keep`.",
            unit="bytes", reloadable=False, otherwise="the file system without `reserve`",
        ),
        Setting(
            "record.reserve", SIZE, "2GiB",
            "Bytes of the file system that recordings leave free.",
            unit="bytes", reloadable=False,
        ),
        Setting(
            "record.archive", Text(), "recordings",
            "The archive of cameras without their own: one of `archives`, or `recordings`, which is the folder "
            "`record.path`.",
        ),
        Setting(
            "record.audio", Switch(), "off",
            "`on`: audio other than AAC and Opus, as G.711, is transcoded to Opus for recordings. That takes a child "
            "process for each camera. `off`: it is left out. AAC and Opus are recorded as they come.",
        ),
        Setting(
            "record.events.keep", KEEP, "30d",
            "Recordings older than this are removed, if something was detected in them. At least `record.keep`.",
            unit="s",
        ),
        Setting(
            "record.events.before", BEFORE, "5s",
            "With `record: events`, recording begins so long before a detection, at a key frame.", unit="s",
        ),
        Setting(
            "record.events.after", AFTER, "10s",
            "With `record: events`, recording ends so long after the last detection.", unit="s",
        ),
        Setting(
            "record.events.labels", ListOf(), "[]",
            "Only detections with one of these labels count as events of recordings; empty: all count.",
        ),
        Setting(
            "log.format", OneOf(("text", "json")), "text",
            "`text` is for people. `json` is one object a line, with `time`, `level`, `logger`, `message`, and "
            "`camera`, `peer`, `lease`, `participant_id`, `room_id` and `exception` where they are known.",
            reloadable=False, field="log_format",
        ),
        Setting(
            "log.level", OneOf(("debug", "info", "warning", "error")), "info",
            "Records below this level are not logged. The option `-v` stands for `debug`.",
            field="log_level",
        ),
        Setting(
            "limits.peers", Count(), "64",
            "Viewers at a time, of all cameras. An MJPEG stream counts as a viewer.",
            unit="viewers", field="limits.peers",
        ),
        Setting(
            "limits.peers_per_camera", Count(), "32", "Viewers of one camera at a time.",
            unit="viewers", field="limits.peers_per_camera",
        ),
        Setting(
            "limits.peers_per_client", Count(), "8",
            "Viewers of one client at a time. Each tile of the page is a viewer, so by default a client has room for "
            "two pages.",
            unit="viewers", field="limits.peers_per_client", per_camera=2,
        ),
        Setting(
            "limits.leases", Count(), "256", "Leases at a time that their holders renew.",
            unit="leases", field="limits.leases",
        ),
        Setting(
            "limits.leases_per_client", Count(), "32", "The same, of one client.",
            unit="leases", field="limits.leases_per_client",
        ),
        Setting(
            "limits.journaled_burst", Count(), "40",
            "Requests that one client may make at once, of those that lead to events in the journal.",
            unit="requests", field="limits.journaled_burst", per_camera=2,
        ),
        Setting(
            "limits.journaled_rate", Number(0.1, 1000, 3, like="2"), "2",
            "The rate at which a client may make further ones of these requests.",
            unit="requests/s", field="limits.journaled_rate",
        ),
        Setting(
            "limits.disconnected_after", Duration("15s", "30s"), "20s",
            "A peer that is silent for this long is closed.",
            unit="s", field="limits.disconnected_after_s",
        ),
        Setting(
            "limits.linger", Duration("0s", "1h"), "10s",
            "An on-demand camera stays open for this long after its last viewer.",
            unit="s", field="limits.linger_s",
        ),
        Setting(
            "limits.idle", Duration("10s", "1d"), "5m",
            "A modal lease ends when nobody has touched its page for this long.",
            unit="s", field="limits.idle_s",
        ),
        *(
            Setting(f"timeouts.{key}", PATIENCE[key], default, text, unit="s", field=f"timeouts.{key}_s")
            for key, (default, text) in TIMEOUTS.items()
        ),
        Setting(
            "leases.ttl", Duration("10s", "2m"), "30s",
            "A lease expires when its holder has not renewed it for this long; a sweep every 10 s ends it.",
            unit="s", field="limits.lease_ttl_s",
        ),
        Setting(
            "leases.modal", Duration("1m", "30d"), "12h",
            "A modal lease ends after this time, however often it was renewed.",
            unit="s", field="limits.modal_s",
        ),
        Setting(
            "transcode", TRANSCODE, "auto",
            "Whether video is transcoded for viewers: see [transcoding](#transcoding).",
        ),
        Setting(
            "transcoder.height", Count(128, 4320), "1080",
            "The largest height of transcoded video. Larger video is made smaller.",
            unit="pixels", field="encoding.height",
        ),
        Setting(
            "transcoder.fps", Count(1, 120), "30",
            "The most frames per second of transcoded video. Further ones are left out.",
            unit="frames/s", field="encoding.fps",
        ),
        Setting(
            "transcoder.bitrate", BitRate("100k", "50M"), "4M",
            "The most bits per second of transcoded video.",
            unit="bits/s", field="encoding.bitrate",
        ),
        Setting(
            "transcoder.threads", Count(1, 16), "1", "Threads of each transcoder's encoder.",
            unit="threads", field="encoding.threads",
        ),
        Setting(
            "transcoder.at_once", Count(1, 1000), None,
            "Cameras whose video is transcoded at a time. Another one waits until one of them ends.",
            unit="cameras", field="limits.transcoders", otherwise="the number of processors",
        ),
        Setting(
            "webrtc.ice_servers", ListOf(STUN, bounds=STUN.bounds), "[]",
            "STUN servers for banken and for its viewers. A LAN needs no STUN server.",
            reloadable=False, field="ice_servers",
        ),
        Setting(
            "webrtc.not_live", OneOf(("wait", "refuse")), "wait",
            "`wait`: a viewer waits for a camera that is not live. With `refuse` it gets 409 with `Retry-After`, from "
            "the first loss until the camera is live or at rest, also during an attempt. The same holds while the "
            "camera waits for a slot. A camera at rest is opened in both cases, and the viewer waits for that first "
            "attempt.",
            reloadable=False, field="not_live",
        ),
        Setting(
            "rtsp.listen", Address("127.0.0.1:8554"), None,
            "The address and TCP port at which players and recorders read the cameras, as `rtsp://HOST:PORT/CAMERA`; "
            "see [rtsp.md](rtsp.md). Readers log in with a token, except on the machine itself before the first user.",
            reloadable=False, field="rtsp", otherwise="off",
        ),
        Setting(
            "archives.NAME.path", File(), None,
            "Another folder for recordings, as on another disk. No archive may be within another.",
            reloadable=False, otherwise="required",
        ),
        Setting(
            "archives.NAME.sync", SYNC, "10s", "The same as `record.sync`, for this archive.",
            unit="s", reloadable=False,
        ),
        Setting(
            "archives.NAME.keep", KEEP, None, "The same as `record.keep`, for the cameras of this archive.",
            unit="s", reloadable=False, otherwise="`record.keep`",
        ),
        Setting(
            "archives.NAME.max_size", SIZE, None, "The same as `record.max_size`, for this archive.",
            unit="bytes", reloadable=False, otherwise="the file system without `reserve`",
        ),
        Setting(
            "archives.NAME.reserve", SIZE, "2GiB", "The same as `record.reserve`, for this archive.",
            unit="bytes", reloadable=False,
        ),
        Setting(
            "devices.NAME.max_connections", Count(), None, "The number of connections that the device serves.",
            unit="connections", otherwise="required",
        ),
        Setting(
            "daemons.NAME.command", ListOf(bounds="a program and its arguments, without a password"), None,
            "A program that banken runs for as long as it runs itself. It is started again when it ends.",
            otherwise="required",
        ),
        Setting(
            "daemons.NAME.provides", SEGMENT, None,
            "The POSIX shared memory that it makes. banken removes it after the program, also if "
            "another one has made it meanwhile.",
        ),
        Setting(
            "daemons.NAME.env", Environment(OWN_ENVIRONMENT), "{}", "Environment variables for it.",
        ),
        Setting(
            "patrol.every", Duration("5s", "1d"), "60s",
            "From the start of one patrol cycle to the start of the next. A cycle that is late is skipped.",
            unit="s", field="patrol.every_s",
        ),
        Setting(
            "patrol.patience", Duration("1s", "5m"), "20s",
            "How long a cycle waits for the snapshot of one camera.",
            unit="s", field="patrol.patience_s",
        ),
        Setting(
            "detections.token", TOKEN, None,
            "The secret that detectors send. Without it no detector may report.",
            reloadable=False, field="detector_token",
        ),
        Setting(
            "detections.labels", ListOf(once="the first is the most important", bounds="each label once"), "[]",
            "The labels that are suggested, the most important first. An empty list allows all labels, with the same "
            "importance.",
            field="policy.labels",
        ),
        Setting(
            "detections.score", Number(0, 1, 6, like="0.6"), "0.5",
            "Detections with a lower score are not suggested.",
            field="policy.score",
        ),
        Setting(
            "detections.quiet", Duration("0s", "1d"), "60s", "A camera is not suggested again for this long.",
            unit="s", field="policy.quiet_s",
        ),
        Setting(
            "detections.shown", Duration("3s", "10m"), "180s",
            "How long a suggestion lasts. New detections of the same camera extend it, without an upper limit: an "
            "on-demand camera stays open for as long as something moves there.",
            unit="s", field="policy.shown_s",
        ),
        Setting(
            "detections.at_once", Count(1, 3), "3",
            "The most cameras that all pages show at a time. Beyond it a new detection takes the place of the least "
            "important one; one that is as important is replaced after 20 s.",
            unit="cameras", field="policy.at_once",
        ),
        Setting(
            "detections.motion", Switch(), "off",
            "Whether banken looks for motion in the key frames of open cameras.",
            field="policy.motion",
        ),
        Setting(
            "detectors.NAME.command", ListOf(bounds="a program and its arguments"), None,
            "A program that banken runs. It reads pictures from its standard input and prints detections.",
            otherwise="required, or `url` or `shm`",
        ),
        Setting(
            "detectors.NAME.url", Text(bounds="http or https"), None,
            "A service that banken posts pictures to. It answers with detections.",
            otherwise="required, or `command` or `shm`",
        ),
        Setting(
            "detectors.NAME.shm", SEGMENT, None,
            "POSIX shared memory to which a program writes its detections; see [detectors.md](detectors.md).",
            otherwise="required, or `command` or `url`",
        ),
        Setting(
            "detectors.NAME.cameras", ListOf(once="each is watched once", bounds="names of cameras, each once"), None,
            "The cameras whose pictures it gets. For `shm`: the one that its detections are about.",
            otherwise="all",
        ),
        Setting(
            "detectors.NAME.fps", Number(0.01, 10, 2, like="1"), "1",
            "For `command`: the most pictures a second of one camera. Only key frames are sent. For `shm`: the most "
            "updates a second that are reported.",
            unit="pictures/s",
        ),
        Setting(
            "detectors.NAME.every", Duration("1s", "1h"), "10s",
            "For `url`: the shortest time between two pictures of one camera.",
            unit="s",
        ),
        Setting(
            "detectors.NAME.format", OneOf(FORMATS), "banken", "For `url`: how the service is called.",
        ),
        Setting(
            "detectors.NAME.token", TOKEN_OF_SERVICE, None,
            "For `url`: a secret that is sent as `Authorization: Bearer`; best as `${NAME}`.",
        ),
        Setting(
            "detectors.NAME.hints", Texts(bounds="names of cameras"), "{}",
            "For `format: analyze-v1`: what each camera looks at, as text or as JSON.",
        ),
        Setting(
            "detectors.NAME.env", Environment(OWN_ENVIRONMENT), "{}",
            "For `command`: environment variables of the program.",
        ),
        Setting(
            "secret",
            ListOf(
                HIDDEN_TEXT, most=100,
                bounds="at most 100 entries of at least 4 characters, without spaces at the ends",
            ),
            "[]",
            "Further texts that are hidden in sources and in the log. An entry that ends in `=` or `:` is a name, and "
            "hides the value behind it.",
            field="secret",
        ),
        Setting(
            "cameras.NAME.source", Text(bounds="see [sources](#sources)"), None, "The address of the source.",
            otherwise="required, or `ffmpeg`",
        ),
        Setting(
            "cameras.NAME.ffmpeg", ListOf(bounds="with -i in it, and without a password"), None,
            "Arguments of ffmpeg: input and coding. banken adds the output, which must be H.264 or H.265.",
            otherwise="required, or `source`",
        ),
        Setting(
            "cameras.NAME.via", Text(bounds="http://HOST:PORT"), None,
            "The API of a go2rtc that opens the camera. banken adds a stream to it before, and removes it afterwards.",
            sources=RTSP,
        ),
        Setting(
            "cameras.NAME.transport", OneOf(TRANSPORTS), "auto",
            "How RTP arrives; see [transport](#transport).",
            sources=RTSP,
        ),
        Setting(
            "cameras.NAME.tls.pin", PIN, None,
            "The only certificate that the camera may have. With another one it is not opened, and the "
            "reason has the SHA-256 that was seen. Without a pin any certificate is accepted: `rtsps://` then keeps "
            "listeners out, but not somebody who pretends to be the camera.",
            otherwise="any certificate", sources=("rtsps",),
        ),
        Setting(
            "cameras.NAME.auth", OneOf(AUTHENTICATIONS), "any",
            "How the camera may ask for the password. With `digest`, it is never sent readably: a camera that only "
            "accepts Basic is refused.",
            sources=RTSP,
        ),
        Setting(
            "cameras.NAME.audio", Switch(), "on",
            "`off`: the camera's audio is neither requested nor sent, and is not transcoded.",
            sources=(*RTSP, "file", "ffmpeg"),
        ),
        *(
            Setting(
                f"cameras.NAME.timeouts.{key}", PATIENCE[key], None, f"The same as `timeouts.{key}`, for this camera.",
                unit="s", otherwise=f"`timeouts.{key}`", sources=RTSP if key in OF_RTSP else (),
            )
            for key in TIMEOUTS
        ),
        Setting(
            "cameras.NAME.device", Text(), None, "The device whose connection slots the camera uses.",
            otherwise="the host of the address",
        ),
        Setting(
            "cameras.NAME.mode", OneOf(MODES), "always", "When the camera is open; see [modes](#modes).",
        ),
        Setting(
            "cameras.NAME.group", Text(), None,
            "The cameras of one group are patrolled one after the other. The subnet is a /24 (IPv4) or a /64 (IPv6); "
            "hosts that are known by name are one group.",
            otherwise="the subnet of the address",
        ),
        Setting(
            "cameras.NAME.substream", Text(bounds="another camera; no cycles"), None,
            "The camera whose stream is sent to viewers that cannot decode this one.",
        ),
        Setting(
            "cameras.NAME.transcode", TRANSCODE, None, "The same as `transcode`, for this camera.",
            otherwise="`transcode`",
        ),
        Setting(
            "cameras.NAME.record.mode", RECORD_MODE, "off",
            "When its video is recorded, and AAC or Opus audio with it; see [recording](#recording). `record: always` "
            "is short for `record: {mode: always}`, and `record: true` is the same.",
            short=True,
        ),
        Setting(
            "cameras.NAME.record.archive", Text(), None,
            "The same as `record.archive`, for this camera. Files that it has stay where they are.",
            otherwise="`record.archive`",
        ),
        Setting(
            "cameras.NAME.record.keep", KEEP, None, "The same as `record.keep`, for this camera.",
            unit="s", otherwise="that of its archive",
        ),
        Setting(
            "cameras.NAME.record.audio", Switch(), None, "The same as `record.audio`, for this camera.",
            otherwise="`record.audio`",
        ),
        Setting(
            "cameras.NAME.record.max_size", Size("64MiB", "1024TiB"), None,
            "Beyond this size the oldest recordings of this camera are removed, also if they are younger than `keep`.",
            unit="bytes", otherwise="as much as the archive has",
        ),
        Setting(
            "cameras.NAME.record.events.keep", KEEP, None, "The same as `record.events.keep`, for this camera.",
            unit="s", otherwise="`record.events.keep`",
        ),
        Setting(
            "cameras.NAME.record.events.before", BEFORE, None, "The same as `record.events.before`, for this camera.",
            unit="s", otherwise="`record.events.before`",
        ),
        Setting(
            "cameras.NAME.record.events.after", AFTER, None, "The same as `record.events.after`, for this camera.",
            unit="s", otherwise="`record.events.after`",
        ),
        Setting(
            "cameras.NAME.record.events.labels", ListOf(), None,
            "The same as `record.events.labels`, for this camera.", otherwise="`record.events.labels`",
        ),
        Setting(
            "cameras.NAME.privacy",
            ListOf(TimesOfWeek(), bounds="at most 32 times of the week", most=32), "[]",
            "The times of the week in which the camera is private; see [privacy](#privacy).",
        ),
        Setting(
            "cameras.NAME.env", Environment(OWN_ENVIRONMENT), "{}",
            "Environment variables for the child processes of this camera.",
        ),
    )
)  # fmt: skip
