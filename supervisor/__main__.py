"""`banken`: the table of its commands. Each is imported when it is run."""

import os
import sys

import click

from . import __version__
from .cli.table import TableGroup, at, table

JOURNAL_COMMANDS = {
    "events": at("supervisor.cli.events:events", "Print what happened, oldest first."),
    "why": at(
        "supervisor.cli.why:why",
        "Say what led to event SEQ, or to what CAMERA is doing: from the first cause on, and what came of it.",
    ),
    "trace": at("supervisor.cli.why:trace", "Print all events of a correlation as a tree."),
    "timeline": at(
        "supervisor.cli.timeline:timeline",
        "Draw what the cameras were doing, side by side; ░ is where nobody looked.",
    ),
    "stats": at(
        "supervisor.cli.timeline:stats",
        "Say how the cameras did: how much of the time live, how often lost, how soon back, and why.",
    ),
    "state": at("supervisor.cli.states:state", "Print everything that was known at an instant."),
    "diff": at("supervisor.cli.states:diff", "Print what changed between two instants: + came, - went, ~ is another."),
    "bisect": at("supervisor.cli.states:bisect", "Find the first event after which EXPRESSION holds."),
    "verify": at(
        "supervisor.cli.keeping:verify", "Read everything, and compare it with all that was written to prove it."
    ),
    "repair": at(
        "supervisor.cli.repair:repair",
        "Show what of JOURNAL is damaged or not ours; with --yes, set it aside and begin a new chain.",
    ),
    "pin": at(
        "supervisor.cli.keeping:pin",
        "Keep a stretch of the journal, and what is younger, from being removed as old.",
    ),
    "unpin": at("supervisor.cli.keeping:unpin", "Let a stretch go that was pinned."),
    "pins": at("supervisor.cli.keeping:pins", "List what is pinned."),
}
"""Commands over a journal, which need no daemon."""

BENCHES = {
    "fanout": at(
        "actors.bench.commands:fanout",
        "What it costs to send one stream to many viewers: banken, aiortc alone, Janus, and others you have.",
    ),
    "ingest": at(
        "actors.bench.commands:ingest",
        "What it costs to keep many RTSP cameras: read by banken itself, and by ffmpeg children.",
    ),
    "latency": at(
        "actors.bench.commands:latency",
        "How long a viewer waits for the first picture, and how long each picture is under way from the camera.",
    ),
    "journal": at(
        "supervisor.cli.bench:journal",
        "Make a journal of so many events, and measure how fast it promises, reads and looks back.",
    ),
}

ROOMS = {
    "join": at("web.room_command:join", "Be in ROOM of the banken at URL, and show what is said there, until Ctrl+C."),
}

COMMANDS = {
    **JOURNAL_COMMANDS,
    "incident": at(
        "supervisor.cli.incident:incident",
        "Send a stretch of the journal to somebody, and prove that it is what was written.",
    ),
    "bench": table("bench", "Measure banken on this machine.", BENCHES),
    "check": at("supervisor.compose:check", "Say what is wrong with a configuration."),
    "run": at("supervisor.compose:run", "Run the daemon with the configuration file CONFIG, until SIGTERM."),
    "demo": at("supervisor.compose:demo", "Run with test pictures: no camera and no configuration needed."),
    "replay": at(
        "supervisor.replay:replay",
        "Show the dashboard as it was, over JOURNAL: a journal's folder, or one of its files.",
    ),
    "rooms": table(
        "rooms",
        "Rooms, in which clients arrange to reach each other; nothing of what they then say passes banken.",
        ROOMS,
    ),
}


@click.group(cls=TableGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="banken")
def main() -> None:
    """banken (番犬, watchdog) keeps cameras watchable day and night, and remembers what happened and why."""
    hold_standard_descriptors()


def hold_standard_descriptors() -> None:
    """Open `/dev/null` on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise a socket or a file of the journal may get its number, and what a library prints goes there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


if __name__ == "__main__":
    main()
