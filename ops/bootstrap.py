"""Make and keep the virtual environment in `.venv/`; standard library only, run by whatever python3 there is.

Rules of this file:
1. A stamp in `.venv/` records the inputs of the environment. It is removed before a change and written after the last
   one: a missing stamp means an interrupted set-up, which is never repaired in place but rebuilt.
2. Everything is changed under one lock; a pip that outlives us goes on holding it.
3. pip is configured by its own environment and files alone: no index, host or certificate is named here.
4. An expected failure is one line: what is wrong and what to type.
5. Python 3.6 can read the syntax of this file and of the scripts that import it: rule 4 holds there too.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one place where an older Python arrives
    is_version = "{}.{}".format(*sys.version_info)
    sys.exit(
        f"banken: needs Python 3.11 or newer, this is {is_version} ({sys.executable}); "
        f"with a newer one installed, type: python3.11 {' '.join(sys.argv)}"
    )

import contextlib
import errno
import fcntl
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from console import refuse, run, say
from debian import apt_line, install_packages

ROOT = Path(__file__).resolve().parent.parent
INTERPRETER = os.path.realpath(sys.executable)  # resolved now: rebuilding an activated .venv removes the link
STAMP = "banken-stamp.json"
REQUIREMENTS = {"runtime": "ops/requirements.txt", "dev": "ops/requirements-dev.txt"}
CANNOT_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def become(program: str, *arguments: str, dev: bool = False) -> None:
    """Replace this process by a program of the environment; never returns."""
    path = str(ensure_environment(dev=dev) / "bin" / program)
    os.execv(path, [path, *arguments])


def enter() -> None:
    """Start this script again in the environment of development, unless it runs there."""
    if Path(sys.prefix).resolve() != ROOT / ".venv":
        become("python", *sys.argv, dev=True)


def ensure_environment(*, dev: bool, root: Path = ROOT) -> Path:
    """Make `.venv/` fit the requirements and `pyproject.toml`, and return it.

    An environment that fits is only read: no lock, no write, no child process.
    """
    venv = root / ".venv"
    try:
        if plan(wanted_stamp(root, venv, dev=dev), read_stamp(venv)):
            with locked(root / ".venv.lock") as lock:
                set_up(root, venv, dev=dev, lock=lock)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        refuse(f"cannot write {error.filename} ({error.strerror}); clone to where you may write, start it there")
    except KeyboardInterrupt:
        refuse("interrupted; the next start sets it up again")
    return venv


# -- what is wanted and what is there ------------------------------------------------------------------------


def wanted_stamp(root: Path, venv: Path, *, dev: bool) -> dict[str, str]:
    python = venv / "bin" / "python"
    return {
        "root": str(root),
        "python": os.path.realpath(python) if python.exists() else INTERPRETER,
        "runtime": digest(root / REQUIREMENTS["runtime"]),
        **({"dev": digest(root / REQUIREMENTS["dev"])} if dev else {}),
        "project": digest(root / "pyproject.toml"),
    }


def read_stamp(venv: Path) -> dict[str, str] | None:
    try:
        stamp: dict[str, str] = json.loads((venv / STAMP).read_text())
        return stamp
    except (OSError, ValueError):
        return None


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def plan(wanted: dict[str, str], stamp: dict[str, str] | None) -> list[str]:
    """Return the steps, in order, from the environment of `stamp` (`None`: no environment) to the wanted one. Pure.

    `root` and `python` cannot change in place; `runtime`, `dev` (if wanted) and `project` can.
    """
    if stamp is None or any(stamp.get(key) != wanted[key] for key in ("root", "python")):
        return ["venv", *(key for key in wanted if key not in ("root", "python"))]
    return [key for key in wanted if stamp.get(key) != wanted[key]]


def pinned(requirements: str) -> int:
    """Return the number of packages that a requirements file pins."""
    return sum("==" in line for line in requirements.splitlines() if line[:1] not in ("", " ", "#"))


# -- making it -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock file. A child that is handed the descriptor holds the lock too, while it lives."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start is setting up; waiting for it")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def set_up(root: Path, venv: Path, *, dev: bool, lock: int) -> None:
    """Execute the steps of `plan` under the lock; no steps if another process has done them meanwhile."""
    stamp = read_stamp(venv)
    steps = plan(wanted_stamp(root, venv, dev=dev), stamp)
    if not steps:
        return
    if "venv" in steps:
        explain_rebuild(root, venv, stamp)
        require_venv_module()
        stamp = None
    with contextlib.suppress(FileNotFoundError):
        (venv / STAMP).unlink()
    for number, step in enumerate(steps, 1):
        doing = f"{'setting up, once' if stamp is None else 'updating'}: {number}/{len(steps)}"
        run_step(step, doing, root, venv, lock)
    if "runtime" in steps and not dev and stamp is not None:
        stamp.pop("dev", None)  # its packages are still there, but may not fit together any more
    done = {**(stamp or {}), **wanted_stamp(root, venv, dev=dev)}
    (venv / f"{STAMP}.new").write_text(json.dumps(done, indent=1) + "\n")
    (venv / f"{STAMP}.new").replace(venv / STAMP)


def explain_rebuild(root: Path, venv: Path, stamp: dict[str, str] | None) -> None:
    if stamp is None:
        if venv.exists():
            say("an earlier set-up was not completed; creating .venv again")
    elif stamp.get("root") != str(root):
        say(f"this clone was at {stamp.get('root')} when it was set up; creating .venv again")
    else:
        say(f"the Python of .venv ({stamp.get('python')}) is gone or was replaced; creating .venv again")


def require_venv_module() -> None:
    """Debian's python3 comes without ensurepip; its package python3-venv brings it."""
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        missing = install_packages(["python3-venv"])
        if missing:
            refuse(f"{sys.executable} cannot make virtual environments; type: {apt_line(missing)}")
        importlib.invalidate_caches()


def run_step(step: str, doing: str, root: Path, venv: Path, lock: int) -> None:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if step == "venv":
        say(f"{doing} making .venv with Python {sys.version.split()[0]}")
        if venv.exists():
            shutil.rmtree(venv)
        venv.mkdir()
        argv = [INTERPRETER, "-m", "venv", "--prompt", "banken", str(venv)]
    elif step == "project":
        say(f"{doing} installing banken itself, editable")
        argv = [*pip, "--no-deps", "--no-build-isolation", "--editable", str(root)]
    else:
        file = root / REQUIREMENTS[step]
        say(f"{doing} installing {pinned(file.read_text())} packages of {REQUIREMENTS[step]}")
        # Everything is listed, and nothing else is fetched: what is left out on purpose is in ops/lock.
        argv = [*pip, "--require-hashes", "--no-deps", "--requirement", str(file)]
    run(argv, venv / "setup.log", keep=(lock,))
