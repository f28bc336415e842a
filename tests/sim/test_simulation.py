"""Fifty simulated runs of one hour each, with all kinds of faults, and without a violated invariant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulate import run

from .answers import disagreement
from .incident import the_incident
from .world import Simulated, simulate

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 51)
RECORDED = range(1, 26)


@pytest.fixture(scope="module")
def lives() -> dict[int, Simulated]:
    """All of them, on all cores."""
    return {life.seed: life for life in run(SEEDS, hours=1, cameras=16, answers=True, records=False)}


def test_recorded_lives_keep_their_files_through_random_faults() -> None:
    """Half of the cameras are recorded. Their disk stalls, fails and is unmounted, and the clock is set. After a
    kill, the next life repairs what is left: every file plays, and every gap has its cause."""
    lives = list(run(RECORDED, hours=1, cameras=16))
    assert [life.broken for life in lives if life.broken] == []
    assert min(life.events for life in lives) > 1000


@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold_through_random_faults(lives: dict[int, Simulated], seed: int) -> None:
    """An idle run would prove nothing: there are many events, child processes and frames."""
    life = lives[seed]
    assert life.broken is None, life.broken
    assert life.events > 1000
    assert life.children > 5
    assert life.wires > 30
    assert life.pictures > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_every_answer_about_availability_is_the_same(lives: dict[int, Simulated], seed: int) -> None:
    """`stats`, the report, the API, the daemon and its metrics agree to the last digit, and `verify` finds nothing."""
    assert lives[seed].disagreement is None


def test_every_answer_about_the_incident_of_the_readme_is_the_same() -> None:
    """The journal that `ops/incident.py` writes."""
    assert disagreement(the_incident()) is None


def test_the_same_seed_is_the_same_life_in_every_process() -> None:
    """The result is byte-identical: twice in this process, and in one with another string hash seed."""
    here = [simulate(7, hours=0.5, digest=True).digest for _ in range(2)]
    code = "from tests.sim.world import simulate; print(simulate(7, hours=0.5, digest=True).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {*here, there.stdout.strip()} == {here[0]}
    assert simulate(8, hours=0.5, digest=True).digest != here[0]
