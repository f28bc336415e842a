"""The configuration: its permitted content, and the errors in it."""
