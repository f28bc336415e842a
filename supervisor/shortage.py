"""Errors of a system that is short of threads, processes, descriptors or memory."""

import errno

REFUSALS = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""Each may pass, so what met it is tried again."""
