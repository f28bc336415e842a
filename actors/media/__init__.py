"""Bitstreams and containers, the hub between source and viewers, and the child processes that decode and transcode."""
