"""Measures banken beside others on the same machine, in the same run: `banken bench fanout|ingest|latency`."""
