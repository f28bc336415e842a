"""All events under one name, as the entities declare them."""

from .core import Event as Event
from .core import Recorded as Recorded
from .entities import *
