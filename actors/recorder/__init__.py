"""The recorder: recording files, and the archive that they are in."""
