"""Camera cases: cameras with an oddity, as JSON files, played to a running daemon (`ops/test --cases FOLDER`).

Rules of this folder:
- No module of the program is imported: the daemon is started as a user does it, and watched from outside by WHEP and
  `/api/cameras`. So the cases hold through every move of modules; a test checks it.
- `form`, `dialogue`, `units` and `judge` decide and are pure; `camera`, `viewer`, `daemon` and `run` do the rest.
"""
