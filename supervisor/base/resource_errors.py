"""Errors of a system that is short of threads, processes, descriptors or memory."""

import errno

RESOURCE_ERRNOS = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""Each condition may be temporary, so the operation that failed is retried."""
