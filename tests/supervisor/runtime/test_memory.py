"""Memory that is returned to the system."""

import subprocess
import sys
from pathlib import Path

import pytest

HASH_IN_THREADS = """
import threading, sys
from pathlib import Path
from supervisor.runtime.memory import free_large_blocks_at_once
from supervisor.services.passwords import Argon2

def resident_kb():
    return int(next(line for line in Path("/proc/self/status").open() if line.startswith("VmRSS")).split()[1])

free_large_blocks_at_once()
hasher = Argon2()
hashed = hasher.hash("correct horse")
before = resident_kb()
waiting = threading.Barrier(3)

def work():
    waiting.wait()
    for _ in range(3):
        hasher.matches(hashed, "wrong horse")
    waiting.wait()
    waiting.wait()  # the threads are there while it is measured

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
waiting.wait()
waiting.wait()
print(resident_kb() - before)
waiting.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_thread_that_has_hashed_keeps_no_memory() -> None:
    """A hash takes 12 MiB, which malloc would keep for each thread that has made one."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", HASH_IN_THREADS], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4 * 1024
