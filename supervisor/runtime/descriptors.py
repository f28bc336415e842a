"""The limit of open files."""

import resource


def allow_descriptors() -> None:
    """Raise the limit of open files to the most that the system allows: each peer and each camera needs a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard))
