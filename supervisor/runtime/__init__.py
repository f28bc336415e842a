"""The parts that keep a daemon running: the kernel, the feed, reconciling, the vault."""
