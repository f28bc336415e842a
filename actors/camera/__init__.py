"""Camera actors: connection, patrol, snapshots, motion."""
