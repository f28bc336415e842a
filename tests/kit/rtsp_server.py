#!/usr/bin/python3
"""A real RTSP camera on 127.0.0.1, made of GStreamer's RTSP server. Run by the system's Python, which has `gi`.

    /usr/bin/python3 rtsp_server.py [--port N] [--size 640x360] [--fps 30] [--codec CODEC]
                                    [--audio CODEC] [--key-frames N]
                                    [--auth both|basic|digest] [--password P [--certificate FILE]] [--encrypted]

`/main` is the only mount; every other path is 404. With a password (better in the environment as RTSP_PASSWORD than in
the process list) the user is `viewer`; with a certificate and its key (PEM) it speaks TLS and nothing else.
`--encrypted` is RTP/SAVP, with the keys in its description. `--b-frames N` sends N of them between two
others. With `--transports` it refuses all others by 461. Standard output is one JSON object a line:

    {"port": N}                                          once, when connections are accepted
    {"event": "connected"|"closed", "clients": N, "sessions": M}     TCP connections; N and M after the event
    {"event": "session-opened"|"session-closed", "clients": N, "sessions": M}
    {"event": "request", "method": "PLAY"}

One encoder serves all clients, as in a camera: who comes second waits for the next key frame. Ends on SIGTERM and
SIGINT, and with its parent. It imports no module of this project.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PR_SET_PDEATHSIG = 1
USER = "viewer"
METHODS = ("options", "describe", "setup", "play", "pause", "teardown", "get-parameter", "set-parameter")
TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "multicast": GstRtsp.RTSPLowerTrans.UDP_MCAST,
}
GROUPS = ("239.255.42.1", "239.255.42.9", 5100, 5199, 1)
"""First and last multicast group and port, and the TTL."""
TONES = {
    "l16": "audio/x-raw,rate=16000,channels=1 ! audioconvert ! audio/x-raw,format=S16BE ! rtpL16pay name=pay1 pt=97",
    "l24": "audio/x-raw,rate=48000,channels=2 ! audioconvert ! audio/x-raw,format=S24BE ! rtpL24pay name=pay1 pt=97",
    "mp2": "audio/x-raw,rate=48000,channels=2 ! audioconvert ! twolamemp2enc ! rtpmpapay name=pay1",
    "mp3": "audio/x-raw,rate=44100,channels=2 ! audioconvert ! lamemp3enc ! mpegaudioparse ! rtpmpapay name=pay1",
    "speex": "audio/x-raw,rate=16000,channels=1 ! speexenc ! rtpspeexpay name=pay1 pt=97",
    "gsm": "audio/x-raw,rate=8000,channels=1 ! gsmenc ! rtpgsmpay name=pay1",
    "amr": "audio/x-raw,rate=8000,channels=1 ! amrnbenc ! rtpamrpay name=pay1 pt=97",
    "latm": "audio/x-raw,rate=16000,channels=1 ! voaacenc ! rtpmp4apay name=pay1 pt=97",
}
"""A tone of 440 Hz in codecs that browsers do not play."""
AUTH = {"basic": 1, "digest": 2, "both": 3}  # GstRTSPAuthMethod, a set of bits


def main() -> int:
    options = parse_arguments()
    parent = os.getppid()
    # KILL, not TERM: it reaches us while we are stopped, too.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 1  # the parent died before the kernel knew our wish
    Gst.init(None)
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)

    server = GstRtspServer.RTSPServer()
    server.set_address(options.address)
    server.set_service(str(options.port))
    factory = make_factory(options)
    password = options.password or os.environ.get("RTSP_PASSWORD")
    if password:
        auth = make_auth(password, AUTH[options.auth])
        if options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
        server.set_auth(auth)
        # Without a role that may *access* it, the factory answers 404 or 401 to everyone once there is an auth object.
        permissions = GstRtspServer.RTSPPermissions.new()
        permissions.add_role(USER)
        permissions.add_permission_for_role(USER, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
        permissions.add_permission_for_role(USER, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
        factory.set_permissions(permissions)
    mounts = server.get_mount_points()
    mounts.add_factory("/main", factory)
    reporter = Reporter(server)
    if server.attach(None) == 0:
        print(f"cannot listen on {options.address}:{options.port}", file=sys.stderr)
        return 1
    reporter.say({"port": server.get_bound_port()})
    loop.run()
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--codec", choices=("h264", "h265", "mjpeg", "mjpeg422", "mpeg4"), default="h264")
    parser.add_argument("--file", help="an MP4 file with the video of --codec mpeg4; it is sent once")
    parser.add_argument("--audio", choices=("pcma", "pcmu", "opus", "aac", *TONES), nargs="?", const="pcma")
    parser.add_argument("--key-frames", type=int, help="frames from key frame to key frame (one second)")
    parser.add_argument("--b-frames", type=int, default=0, help="B-frames between two others, of H.264")
    parser.add_argument("--auth", choices=tuple(AUTH), default="both")
    parser.add_argument("--password")
    parser.add_argument("--transports", default="tcp,udp", help="any other one gets 461; tcp is also that in HTTP")
    parser.add_argument("--certificate", help="a PEM file with the key in it")
    parser.add_argument("--encrypted", action="store_true", help="SRTP, with the keys in the description")
    return parser.parse_args()


def make_factory(options: argparse.Namespace) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(options))
    factory.set_shared(True)
    factory.set_latency(0)
    if options.encrypted:
        factory.set_profiles(GstRtsp.RTSPProfile.SAVP)
    protocols = GstRtsp.RTSPLowerTrans(0)
    for name in options.transports.split(","):
        protocols |= TRANSPORTS[name]
    factory.set_protocols(protocols)
    if "multicast" in options.transports:
        pool = GstRtspServer.RTSPAddressPool.new()
        pool.add_range(*GROUPS)
        factory.set_address_pool(pool)
    return factory


def launch_line(options: argparse.Namespace) -> str:
    width, height = options.size.split("x")
    every = options.key_frames or options.fps
    b_frames, profile = options.b_frames, "main" if options.b_frames else "constrained-baseline"
    tune = f"b-adapt=false bframes={b_frames} rc-lookahead=4" if b_frames else "tune=zerolatency bframes=0"
    encoder = {
        "h264": f"x264enc {tune} speed-preset=ultrafast threads=1 key-int-max={every} bitrate=1000"
        f" ! video/x-h264,profile={profile},stream-format=byte-stream,alignment=au"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency",
        "h265": f"x265enc tune=zerolatency speed-preset=ultrafast key-int-max={every} bitrate=1000"
        " ! rtph265pay name=pay0 pt=96 config-interval=-1",
        "mjpeg": "jpegenc quality=60 ! rtpjpegpay name=pay0 pt=26",
        "mjpeg422": "videoconvert ! video/x-raw,format=Y42B ! jpegenc quality=60 ! rtpjpegpay name=pay0 pt=26",
        "mpeg4": "",
    }[options.codec]
    video = (
        f"filesrc location={options.file} ! qtdemux ! mpeg4videoparse ! rtpmp4vpay name=pay0 pt=96 config-interval=1"
        if options.file
        else f"videotestsrc is-live=true pattern={'smpte' if overlays() else 'ball'}"
        f" ! video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1{overlays()} ! {encoder}"
    )
    audio = (
        ""
        if options.audio is None
        else {
            "pcma": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1"
            " ! alawenc ! rtppcmapay name=pay1 pt=8",
            "pcmu": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1"
            " ! mulawenc ! rtppcmupay name=pay1 pt=0",
            "opus": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2"
            " ! opusenc ! rtpopuspay name=pay1 pt=97",
            "aac": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2"
            " ! voaacenc ! rtpmp4gpay name=pay1 pt=97",
        }.get(options.audio)
        or f" audiotestsrc is-live=true freq=440 samplesperbuffer=320 ! {TONES[options.audio]}"
    )
    return f"( {video}{audio} )"


def overlays() -> str:
    """Both clocks where Pango's plugin is installed (Debian: gstreamer1.0-x), else nothing."""
    if Gst.ElementFactory.find("timeoverlay") is None or Gst.ElementFactory.find("clockoverlay") is None:
        return ""
    return (
        " ! timeoverlay halignment=left valignment=top"
        ' ! clockoverlay halignment=right valignment=bottom time-format="%H:%M:%S"'
    )


def make_auth(password: str, methods: int) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth.new()
    # The binding takes the bit set for an enumeration and refuses 3. hash() of a GObject wrapper is its address.
    library = ctypes.CDLL("libgstrtspserver-1.0.so.0")
    library.gst_rtsp_auth_set_supported_methods(ctypes.c_void_p(hash(auth)), methods)
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, USER)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(USER, password), token)
    auth.add_digest(USER, password, token)
    return auth


class Reporter:
    """Counts connections and sessions. Signals come from the server's pool thread, hence the lock."""

    def __init__(self, server: GstRtspServer.RTSPServer) -> None:
        self.lock = threading.Lock()
        self.clients = 0
        self.sessions = 0
        server.connect("client-connected", self.on_connected)
        pool = server.get_session_pool()
        pool.connect("session-removed", lambda *_: self.count("session-closed", sessions=-1))
        # The pool never looks at its clock by itself; without this an abandoned session stays for ever.
        GLib.timeout_add_seconds(1, lambda: pool.cleanup() is not None)

    def on_connected(self, _server: GstRtspServer.RTSPServer, client: GstRtspServer.RTSPClient) -> None:
        client.connect("closed", lambda *_: self.count("closed", clients=-1))
        client.connect("new-session", lambda *_: self.count("session-opened", sessions=+1))
        for method in METHODS:
            client.connect(f"{method}-request", self.on_request, method.upper().replace("-", "_"))
        self.count("connected", clients=+1)

    def on_request(self, *arguments: object) -> None:
        with self.lock:
            self.say({"event": "request", "method": arguments[-1]})

    def count(self, event: str, clients: int = 0, sessions: int = 0) -> None:
        with self.lock:
            self.clients += clients
            self.sessions += sessions
            self.say({"event": event, "clients": self.clients, "sessions": self.sessions})

    @staticmethod
    def say(message: dict[str, object]) -> None:
        os.write(1, f"{json.dumps(message)}\n".encode())  # in one piece: GStreamer's threads report as well


if __name__ == "__main__":
    sys.exit(main())
