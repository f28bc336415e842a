"""The composition root: it connects the layers. Only this package knows the actors and the HTTP layer by name."""
