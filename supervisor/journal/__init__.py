"""The journal: every event, in order, durable, chained and checksummed, in one SQLite file per segment.

Only apsw opens these files, and in one process only through this package: a second SQLite library, or a plain
`open()`/`close()` of the file, would drop the first one's POSIX locks.
"""
