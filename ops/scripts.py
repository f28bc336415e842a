"""Check the scripts of the dashboard: `.venv/bin/python ops/scripts.py`; with `--write` it formats them first.

Biome checks form and lint (`scripts.biome.json`). TypeScript reads the JavaScript with its JSDoc and emits nothing
(`scripts.tsconfig.json`); it is a Debian package, installed if we are root. Exit code 1: something is wrong.
"""

import subprocess
import sys
from pathlib import Path

from console import refuse, say
from debian import CHECK_PACKAGES, apt_line, install_packages, missing_packages

OPS = Path(__file__).resolve().parent
DASHBOARD = OPS.parent / "web" / "dashboard"
BIOME = Path(sys.executable).parent / "biome"


def main(*, write: bool) -> int:
    failed = 0
    if BIOME.exists():
        options = ["--write"] if write else []
        command = [BIOME, "check", *options, f"--config-path={OPS / 'scripts.biome.json'}", "."]
        failed |= subprocess.run(command, cwd=DASHBOARD, check=False).returncode
    else:
        say("there is no Biome for this machine: form and lint of the scripts are not checked")
    missing = install_packages(missing_packages(CHECK_PACKAGES))
    if missing:
        refuse(f"the scripts cannot be checked without TypeScript; type: {apt_line(missing)}")
    failed |= subprocess.run(["tsc", "--project", OPS / "scripts.tsconfig.json"], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))
