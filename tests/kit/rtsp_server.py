#!/usr/bin/python3
"""A real RTSP camera on 127.0.0.1, made of GStreamer's RTSP server. Run by the system's Python, which has `gi`.

    /usr/bin/python3 rtsp_server.py [--port N] [--size 640x360] [--fps 30] [--codec h264|h265|mjpeg]
                                    [--audio pcma|pcmu|opus|aac] [--key-frames N] [--auth both|basic|digest]
                                    [--password P [--certificate FILE]]

`/main` is the only mount; every other path is 404. With a password (better in the environment as RTSP_PASSWORD than in
the process list) the user is `viewer`; with a certificate and its key (PEM) it speaks TLS and nothing else. Standard
output is one JSON object a line:

    {"port": N}                                          once, when connections are accepted
    {"event": "connected"|"closed", "clients": N, "sessions": M}     TCP connections; N and M after the event
    {"event": "session-opened"|"session-closed", "clients": N, "sessions": M}
    {"event": "request", "method": "PLAY"}

One encoder serves all clients, as in a camera: who comes second waits for the next key frame. Ends on SIGTERM and
SIGINT, and with its parent. Imports nothing of ours.
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
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

PR_SET_PDEATHSIG = 1
USER = "viewer"
METHODS = ("options", "describe", "setup", "play", "pause", "teardown", "get-parameter", "set-parameter")
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
    server.set_address("127.0.0.1")
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
        print(f"cannot listen on 127.0.0.1:{options.port}", file=sys.stderr)
        return 1
    reporter.say({"port": server.get_bound_port()})
    loop.run()
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--codec", choices=("h264", "h265", "mjpeg"), default="h264")
    parser.add_argument("--audio", choices=("pcma", "pcmu", "opus", "aac"), nargs="?", const="pcma")
    parser.add_argument("--key-frames", type=int, help="frames from key frame to key frame (one second)")
    parser.add_argument("--auth", choices=tuple(AUTH), default="both")
    parser.add_argument("--password")
    parser.add_argument("--certificate", help="a PEM file with the key in it")
    return parser.parse_args()


def make_factory(options: argparse.Namespace) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch_line(options))
    factory.set_shared(True)
    factory.set_latency(0)
    return factory


def launch_line(options: argparse.Namespace) -> str:
    width, height = options.size.split("x")
    every = options.key_frames or options.fps
    encoder = {
        "h264": f"x264enc tune=zerolatency speed-preset=ultrafast threads=1 bframes=0 key-int-max={every} bitrate=1000"
        " ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency",
        "h265": f"x265enc tune=zerolatency speed-preset=ultrafast key-int-max={every} bitrate=1000"
        " ! rtph265pay name=pay0 pt=96 config-interval=-1",
        "mjpeg": "jpegenc quality=60 ! rtpjpegpay name=pay0 pt=26",
    }[options.codec]
    video = (
        f"videotestsrc is-live=true pattern={'smpte' if overlays() else 'ball'}"
        f" ! video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1{overlays()} ! {encoder}"
    )
    audio = {
        None: "",
        "pcma": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1"
        " ! alawenc ! rtppcmapay name=pay1 pt=8",
        "pcmu": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1"
        " ! mulawenc ! rtppcmupay name=pay1 pt=0",
        "opus": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2"
        " ! opusenc ! rtpopuspay name=pay1 pt=97",
        "aac": " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2"
        " ! voaacenc ! rtpmp4gpay name=pay1 pt=97",
    }[options.audio]
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
