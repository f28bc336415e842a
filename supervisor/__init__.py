"""The domain model, the event store and the supervision of actors."""

__version__ = "0.2.0"
