"""Plays a file with GStreamer, under the system's Python: prints what is presented, as JSON.

Each frame is a list: running time in seconds, width, height. With `--coded`, frames are not decoded: OpenH264 knows no
B-frames. With `--audio`, each buffer of audio is a list of its time.
"""

import json
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

Gst.init(None)
NEEDED = {
    "qtdemux": "gstreamer1.0-plugins-good",
    "openh264dec": "gstreamer1.0-plugins-bad",
    "h264parse": "gstreamer1.0-plugins-bad",
    "aacparse": "gstreamer1.0-plugins-good",
}


def main() -> None:
    if sys.argv[1:] == ["--missing"]:
        print(*sorted({package for name, package in NEEDED.items() if Gst.ElementFactory.find(name) is None}))
        return
    path, audio = sys.argv[1], "--audio" in sys.argv
    decode = "" if "--coded" in sys.argv else "! openh264dec"
    branch = "d.audio_0 ! queue ! aacparse" if audio else f"d.video_0 ! queue ! h264parse {decode}"
    pipeline = Gst.parse_launch(
        f"filesrc location={path} ! qtdemux name=d {branch} ! appsink name=s sync=false max-buffers=4"
    )
    sink = pipeline.get_by_name("s")
    pipeline.set_state(Gst.State.PLAYING)
    found = []
    while (sample := sink.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
        time = sample.get_segment().to_running_time(Gst.Format.TIME, sample.get_buffer().pts)
        shape = sample.get_caps().get_structure(0)
        size = [] if audio else [shape.get_int("width")[1], shape.get_int("height")[1]]
        if time != Gst.CLOCK_TIME_NONE:
            found.append([round(time / Gst.SECOND, 4), *size])
    error = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if error is not None:
        sys.exit(error.parse_error()[0].message)
    print(json.dumps(sorted(found) if "--coded" in sys.argv else found))


main()
