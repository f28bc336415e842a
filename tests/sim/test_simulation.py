"""Fifty lives of an hour each, with everything that can go wrong, and not one thing that must not be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulate import run

from .world import Simulated, simulate

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 51)


@pytest.fixture(scope="module")
def lives() -> dict[int, Simulated]:
    """All of them, on all cores."""
    return {life.seed: life for life in run(SEEDS, hours=1, cameras=16)}


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_goes_wrong_everything_that_must_hold_holds(lives: dict[int, Simulated], seed: int) -> None:
    """A life in which nothing happens would prove nothing: there are events, children and pictures in plenty."""
    life = lives[seed]
    assert life.broken is None, life.broken
    assert life.events > 1000
    assert life.children > 5
    assert life.wires > 30
    assert life.pictures > 20


def test_the_same_seed_is_the_same_life_in_every_process() -> None:
    """Byte for byte: twice in this process, and in one that hashes its strings in another way."""
    here = [simulate(7, hours=0.5, digest=True).digest for _ in range(2)]
    code = "from tests.sim.world import simulate; print(simulate(7, hours=0.5, digest=True).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {*here, there.stdout.strip()} == {here[0]}
    assert simulate(8, hours=0.5, digest=True).digest != here[0]
