"""POSIX shared memory of other programs: read only, and never mapped."""
