"""Cameras: each file has one kind of event in the life of a camera, with its commands and effects."""

from .common import *
from .configured import *
from .connection import *
from .crash import *
from .loss import *
from .oddity import *
from .retry import *
