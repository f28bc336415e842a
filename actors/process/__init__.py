"""Child processes: start, output, end, reaping, and orphans of earlier runs."""
