"""Helpers that every layer uses and that import no layer: clocks, threads, restarts, text that is safe to show."""
