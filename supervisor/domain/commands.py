"""All commands under one name, as the entities declare them."""

from .core import Command as Command
from .entities import *
