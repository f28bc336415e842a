"""The journal: every event, in order, durable, chained and checksummed, with one SQLite file per segment.

Only apsw opens these files, and within a process only through this package. A second SQLite library, or a plain
`open()`/`close()` of the file, would drop the POSIX locks of the first.
"""
