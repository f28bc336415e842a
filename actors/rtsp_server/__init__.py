"""The RTSP server: players and recorders read cameras through banken, and cameras see one connection."""
