"""I/O actors: one actor for each camera, each WebRTC peer and each child process."""
