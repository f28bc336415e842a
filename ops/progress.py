"""Progress of long work: a bar on a terminal, plain lines elsewhere. On stderr, so that a result can be redirected."""

import sys

WIDTH = 30


def show(done: float, total: float, text: str) -> None:
    """Show the progress, of `total`, and the current step."""
    share = min(1.0, done / total) if total else 1.0
    if sys.stderr.isatty():
        bar = "█" * round(share * WIDTH)
        print(
            f"\r\033[K{bar:·<{WIDTH}} {share:4.0%} {text}", end="\n" if share == 1 else "", file=sys.stderr, flush=True
        )
    else:
        print(f"{share:4.0%} {text}", file=sys.stderr, flush=True)
