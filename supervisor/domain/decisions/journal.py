"""Decisions about the journal's own files. What happened to them is a fact: nothing is refused."""

from .. import commands as c
from .. import events as e
from ..state import State
from .common import Events


def report_gap(state: State, command: c.ReportGap, now_ns: int) -> Events:
    return (e.EventsLost(first=command.first, last=command.last, count=command.last - command.first + 1),)


def report_chain(state: State, command: c.ReportChain, now_ns: int) -> Events:
    return (e.ChainBegan(last=command.last, digest=command.digest, why=command.why),)


def report_set_aside(state: State, command: c.ReportSetAside, now_ns: int) -> Events:
    return (e.JournalFileSetAside(file=command.file, aside=command.aside, why=command.why),)


def report_removal(state: State, command: c.ReportRemoval, now_ns: int) -> Events:
    return (e.SegmentsRemoved(command.segments, command.first, command.last, command.bytes, command.why),)


def report_fault(state: State, command: c.ReportJournalFault, now_ns: int) -> Events:
    return (e.JournalFailed(why=command.why, began_ns=command.began_ns, lasted_s=command.lasted_s),)
