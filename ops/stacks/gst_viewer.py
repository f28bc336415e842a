"""A stock GStreamer viewer: `/usr/bin/python3 ops/stacks/gst_viewer.py URL ORDER`, ORDER like `audio,video`.

webrtcbin with its defaults: no bundle, an RSA certificate, and caps without parameters of H.264. Posts the offer to
the WHEP endpoint URL and waits for 25 decoded pictures. Its last line is `plays` or what is missing. Without arguments
it names the elements that are not installed; with `version` alone it prints the version of GStreamer.
"""

import sys
import urllib.error
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PICTURES, WITHIN_S = 25, 20
CAPS = {
    "video": "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000",
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000",
}


class Viewer:
    def __init__(self, url, order):
        self.url, self.seen, self.problem = url, 0, ""
        self.loop, self.pipe = GLib.MainLoop(), Gst.Pipeline.new()
        self.bin = Gst.ElementFactory.make("webrtcbin")
        self.pipe.add(self.bin)
        for kind in order.split(","):
            caps = Gst.Caps.from_string(CAPS[kind])
            self.bin.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
        self.bin.connect("pad-added", self.play)
        bus = self.pipe.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.fail)

    def run(self):
        self.pipe.set_state(Gst.State.PLAYING)
        self.bin.emit("create-offer", None, Gst.Promise.new_with_change_func(self.offer))
        GLib.timeout_add_seconds(WITHIN_S, self.loop.quit)
        self.loop.run()
        state = self.bin.get_property("connection-state").value_nick
        self.pipe.set_state(Gst.State.NULL)
        return "plays" if self.seen >= PICTURES else self.problem or f"{self.seen} pictures in {WITHIN_S} s, {state}"

    def offer(self, promise):
        reply = promise.get_reply()  # it owns the offer
        offer = reply.get_value("offer")
        self.bin.emit("set-local-description", offer, None)
        GLib.timeout_add(300, self.post)  # host candidates are gathered meanwhile

    def post(self):
        text = self.bin.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(self.url, data=text.encode(), headers={"Content-Type": "application/sdp"})
        try:
            with urllib.request.urlopen(request) as response:
                _, answer = GstSdp.SDPMessage.new_from_text(response.read().decode())
        except urllib.error.HTTPError as error:
            self.problem = f"{error.code}: {error.read().decode()}"
            self.loop.quit()
            return False
        described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, answer)
        self.bin.emit("set-remote-description", described, None)
        return False

    def play(self, _, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        decode = Gst.ElementFactory.make("decodebin")
        decode.connect("pad-added", self.show)
        self.pipe.add(decode)
        decode.sync_state_with_parent()
        pad.link(decode.get_static_pad("sink"))

    def show(self, _, pad):
        sink = Gst.ElementFactory.make("fakesink")
        self.pipe.add(sink)
        sink.set_property("sync", False)
        sink.sync_state_with_parent()
        if pad.get_current_caps().get_structure(0).get_name().startswith("video"):
            pad.add_probe(Gst.PadProbeType.BUFFER, self.count)
        pad.link(sink.get_static_pad("sink"))

    def count(self, *_):
        self.seen += 1
        if self.seen == PICTURES:
            GLib.idle_add(self.loop.quit)
        return Gst.PadProbeReturn.OK

    def fail(self, _, message):
        error, _ = message.parse_error()
        self.problem = error.message
        self.loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    if len(sys.argv) == 1:
        sys.exit(" ".join(name for name in ("webrtcbin", "nicesrc") if Gst.ElementFactory.find(name) is None) or 0)
    if sys.argv[1:] == ["version"]:
        print(Gst.version_string())
        sys.exit()
    said = Viewer(*sys.argv[1:]).run()
    print(said)
    sys.exit(said != "plays")
