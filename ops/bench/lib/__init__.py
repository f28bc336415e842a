"""The benches' parts: the stream, cameras, viewers, the servers that are measured, and reports."""
