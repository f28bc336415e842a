"""The face: parse, submit, render. It knows the gateway and nothing else of the daemon."""
