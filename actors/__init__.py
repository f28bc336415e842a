"""The hands: one actor for each camera, each viewer's connection and each child process."""
