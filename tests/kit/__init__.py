"""The vocabulary of the tests: real cameras, real browsers, and the eyes to see what they leave behind."""
