"""`banken`: the table of its commands. Each command is imported when it is run."""

import os
import sys

from .base.interrupts import exit_on_ctrl_c

with exit_on_ctrl_c():
    import click

    from . import __version__
    from .cli.table import TableGroup, at, table

JOURNAL_COMMANDS = {
    "events": at("supervisor.cli.events:events", "Print the events, oldest first."),
    "why": at(
        "supervisor.cli.why:why",
        "Print the chain of causes of event SEQ, or of the state of CAMERA, and the consequences.",
    ),
    "trace": at("supervisor.cli.why:trace", "Print all events of a correlation as a tree."),
    "timeline": at(
        "supervisor.cli.timeline:timeline",
        "Draw the states of the cameras over time, side by side; ░ is time without data.",
    ),
    "stats": at(
        "supervisor.cli.timeline:stats",
        "Print the availability of the cameras: live share of the time wanted, patrol cycles, snapshots, losses.",
    ),
    "audit": at(
        "supervisor.cli.audit:audit",
        "Print who watched CAMERA, or any camera, and who exported, changed, logged in or was refused.",
    ),
    "state": at("supervisor.cli.states:state", "Print the state at an instant."),
    "diff": at("supervisor.cli.states:diff", "Print the changes between two instants: + added, - removed, ~ changed."),
    "bisect": at("supervisor.cli.states:bisect", "Find the first event after which EXPRESSION holds."),
    "verify": at(
        "supervisor.cli.maintenance:verify", "Verify the journal: read everything and compare it with its digests."
    ),
    "repair": at(
        "supervisor.cli.repair:repair",
        "Show damaged and foreign files of JOURNAL; with --yes, set them aside and begin a new chain.",
    ),
    "pin": at(
        "supervisor.cli.maintenance:pin",
        "Keep a stretch from retention: its events, all newer events, and its footage.",
    ),
    "unpin": at("supervisor.cli.maintenance:unpin", "Remove a pin; retention may then remove its stretch."),
    "pins": at("supervisor.cli.maintenance:pins", "List the pins."),
}
"""Commands that read or change a journal without a daemon."""

ROOMS = {
    "join": at("web.room_command:join", "Join ROOM of the daemon, and print its messages until Ctrl+C."),
}

USERS = {
    "add": at("supervisor.cli.access:add_user", "Add the user NAME, who may then log in."),
    "list": at("supervisor.cli.access:list_users", "List the users, with their roles and cameras."),
    "role": at("supervisor.cli.access:change_user", "Give the user NAME another role and other cameras."),
    "password": at("supervisor.cli.access:set_password", "Set the password of the user NAME, also a forgotten one."),
    "passkeys": at("supervisor.cli.access:list_passkeys", "List the passkeys of the user NAME, or remove one."),
    "remove": at("supervisor.cli.access:remove_user", "Remove the user NAME, with all logins and viewers."),
}
SESSIONS = {
    "list": at("supervisor.cli.logins:list_sessions", "List the logins that are open, the newest first."),
    "end": at(
        "supervisor.cli.logins:end_session", "End the login SESSION, with its viewers; its user may log in again."
    ),
}
TOKENS = {
    "make": at("supervisor.cli.logins:make_token", "Make the token NAME, for a program, and print its secret."),
    "list": at("supervisor.cli.logins:list_tokens", "List the tokens, without their secrets."),
    "end": at("supervisor.cli.logins:end_token", "Revoke the token NAME; its viewers end."),
}
SHARES = {
    "add": at("supervisor.cli.shares:add_share", "Make a link with which others watch CAMERA, and print it."),
    "list": at("supervisor.cli.shares:list_shares", "List the links that have not ended, the newest first."),
    "remove": at("supervisor.cli.shares:remove_share", "Revoke the link of SHARE; its viewers end within a second."),
}

FOOTAGE = {
    "list": at("supervisor.compose.footage:list_footage", "List the recording files of ARCHIVE."),
    "verify": at(
        "supervisor.compose.footage:verify", "Verify recordings: read each file, and compare it with the journal."
    ),
    "clip": at("supervisor.compose.clip:clip", "Take recorded video of ARCHIVE as one file."),
    "repair": at("supervisor.compose.footage:repair", "End recording files that were cut off."),
}

RECORD = {
    "start": at("supervisor.cli.record:start", "Have the daemon record CAMERA from now on."),
    "stop": at("supervisor.cli.record:stop", "End the recording of CAMERA that a person started."),
    "status": at("supervisor.cli.record:status", "Print which cameras are recorded, and how long the room lasts."),
}

COMMANDS = {
    **JOURNAL_COMMANDS,
    "footage": table("footage", "Recordings: list, verify, take and repair them, without a daemon.", FOOTAGE),
    "incident": at(
        "supervisor.compose.incident:incident",
        "Export, import and verify a stretch of the journal as one file.",
    ),
    "check": at("supervisor.compose.commands:check", "Check a configuration, and print its problems."),
    "probe": at("supervisor.compose.probe:probe", "Open one camera for a moment, and print what it sends."),
    "run": at("supervisor.compose.commands:run", "Run the daemon with the configuration file CONFIG, until SIGTERM."),
    "demo": at("supervisor.compose.commands:demo", "Run with test patterns: no camera and no configuration needed."),
    "retry": at("supervisor.cli.remote:retry", "Have the daemon open CAMERA now, instead of at its next attempt."),
    "privacy": at("supervisor.cli.remote:privacy", "Make CAMERA private, or end that."),
    "record": table("record", "Recordings of a daemon that runs: start, stop and show them.", RECORD),
    "reload": at("supervisor.cli.remote:reload", "Have the daemon read its configuration again, and print the result."),
    "profile": at("supervisor.cli.profile:profile", "Print which functions of the daemon use its time."),
    "ca": at("supervisor.cli.ca:ca", "Print the certificate of the local CA, and how to install it on devices."),
    "setup-link": at(
        "supervisor.cli.setup:setup_link", "Print a link to the page that makes the first user, an admin."
    ),
    "user": table("user", "Users, who log in: add, list, change and remove them.", USERS),
    "session": table("session", "Logins that are open: list and end them.", SESSIONS),
    "token": table("token", "Tokens, the access of programs: make, list and end them.", TOKENS),
    "share": table("share", "Links with which others watch: add, list and remove them.", SHARES),
    "replay": at(
        "supervisor.compose.replay:replay",
        "Show the dashboard as it was, from JOURNAL: a journal's folder, or one of its files.",
    ),
    "rooms": table(
        "rooms",
        "Rooms: clients exchange offers and candidates; their audio and video never pass banken.",
        ROOMS,
    ),
}


@click.group(cls=TableGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="banken")
def main() -> None:
    """banken (番犬, watchdog) keeps cameras watchable day and night, and records what happened and why."""
    hold_standard_descriptors()


def hold_standard_descriptors() -> None:
    """Open `/dev/null` on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise a socket or a file of the journal may get that number, and the output of a library would go there.
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
