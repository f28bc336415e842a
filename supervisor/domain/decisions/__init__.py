"""The decisions, by what they are about. `decide` is the way in; what several of them need is in `common`."""
