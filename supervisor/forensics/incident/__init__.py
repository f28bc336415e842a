"""Incidents: a stretch of a journal in one file, to be sent to whoever can help, and proof that nobody changed it."""
