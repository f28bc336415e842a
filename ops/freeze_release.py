"""Freeze a release: `.venv/bin/python ops/freeze_release.py CHECKOUT`, once for each, with the code of CHECKOUT.

Writes `tests/releases/VERSION/`: a configuration with every section, a journal of 15 simulated minutes in several
segments, a bundle of a part of it, and the resulting state. The same checkout gives the same events. All later versions
must open, verify and continue them; frozen files are never regenerated.
"""

import json
import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = """\
web: {listen: "127.0.0.1:8620", allow_origins: ["https://cams.example"]}
journal: {path: journal, retention: 30d, max_size: 2GiB}
webrtc: {ice_servers: ["stun:192.0.2.1:3478"]}
cameras:
  front: rtsp://viewer:${FRONT_PASSWORD}@192.0.2.10/stream1
  clip: file:///srv/clip.mp4
  hall: {source: "rtsp://192.0.2.11/stream2", device: tapo-hall, mode: on_demand}
  door: {source: "rtsp://192.0.2.13/stream1", transport: udp}
  yard: {source: "rtsp://192.0.2.12/stream1", mode: patrol, substream: yard-low}
  yard-low: {source: "rtsp://192.0.2.12/stream2", mode: on_demand}
  bars: test:1280x720@30
  bench: {ffmpeg: ["-f", "v4l2", "-i", "/dev/video0", "-c:v", "libx264", "-tune", "zerolatency"]}
devices: {tapo-hall: {max_connections: 2}}
limits: {peers: 64, peers_per_camera: 32, peers_per_client: 12, disconnected_after: 20s, linger: 10s,
         leases: 256, leases_per_client: 32, idle: 5m}
leases: {ttl: 30s, modal: 12h}
patrol: {every: 60s, patience: 20s}
detections: {token: "${DETECTOR_TOKEN}", labels: [person, motion], score: 0.6, quiet: 60s, shown: 20s, motion: off}
"""


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    checkout = Path(sys.argv[1]).resolve()
    sys.path[:0] = [str(checkout)]
    from click.testing import CliRunner

    from supervisor import __version__
    from supervisor.__main__ import main as banken
    from supervisor.domain.state import state_hash
    from supervisor.journal.store import Rotation
    from tests.kit.journals import states, write_journal
    from tests.sim.world import simulate

    folder = ROOT / "tests" / "releases" / __version__
    if folder.exists():
        print(f"{folder.relative_to(ROOT)} is frozen", file=sys.stderr)
        return 2
    logging.disable(logging.CRITICAL)
    rows = simulate(1, hours=0.25, cameras=3, keep=True).rows
    folder.mkdir(parents=True)
    (folder / "banken.yaml").write_text(CONFIGURATION)
    journal = write_journal(folder / "journal", rows, batch=40, rotation=Rotation(max_bytes=150_000))
    (journal / "lock").unlink()
    first, last = rows[len(rows) // 3].seq, rows[len(rows) // 2].seq
    exported = CliRunner().invoke(
        banken,
        ["incident", "export", str(journal), "--from", f"#{first}", "--to", f"#{last}", "-o", f"{folder}/incident.zip"],
        catch_exceptions=False,
    )
    for left in [*journal.glob("*-wal"), *journal.glob("*-shm")]:
        left.unlink()
    expected = {"seq": rows[-1].seq, "rule": 1, "hash": state_hash(states(rows)[-1]), "bundle": [first, last]}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    print(exported.output, end="")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.relative_to(ROOT)}: {len(rows)} events, {size} bytes, by the code in {os.path.relpath(checkout)}")
    return exported.exit_code


if __name__ == "__main__":
    sys.exit(main())
