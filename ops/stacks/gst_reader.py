"""A stock GStreamer reader: `/usr/bin/python3 ops/stacks/gst_reader.py URL tcp|udp SECONDS`.

rtspsrc with its defaults. It decodes for SECONDS from the first picture on. It prints the number of decoded pictures,
and the seconds from its start to the first one. It exits with 1 and the reason at an error.
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


class Reader:
    def __init__(self, url, transport, seconds):
        self.seen, self.first, self.problem, self.seconds = 0, 0.0, "", seconds
        self.loop, self.began = GLib.MainLoop(), time.monotonic()
        self.pipe = Gst.parse_launch(
            f"rtspsrc location={url} protocols={transport} ! decodebin ! fakesink name=sink sync=false"
        )
        self.pipe.get_by_name("sink").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self.count)
        bus = self.pipe.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.fail)
        bus.connect("message::eos", self.fail)

    def run(self):
        self.pipe.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipe.set_state(Gst.State.NULL)

    def count(self, *_):
        self.seen += 1
        if self.seen == 1:
            self.first = time.monotonic() - self.began
            GLib.timeout_add(int(self.seconds * 1000), self.loop.quit)
        return Gst.PadProbeReturn.OK

    def fail(self, _, message):
        self.problem = message.parse_error()[0].message if message.type == Gst.MessageType.ERROR else "it has ended"
        self.loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    reader = Reader(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    reader.run()
    if reader.problem:
        sys.exit(reader.problem)
    print(reader.seen, f"{reader.first:.3f}")
