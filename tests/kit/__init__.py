"""Shared tools of the tests: real cameras, real browsers, and checks for leaked resources."""
