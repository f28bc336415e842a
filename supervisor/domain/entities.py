"""The entities of the domain. Each file declares commands, events and their effects; a new entity is one line here."""

from .admission import *
from .alert import *
from .audit import *
from .camera import *
from .child import *
from .configuration import *
from .detection import *
from .device import *
from .identity import *
from .journal import *
from .lease import *
from .limits import *
from .passkey import *
from .patrol import *
from .peer import *
from .privacy import *
from .recording import *
from .recording_request import *
from .room import *
from .run import *
from .session import *
from .share import *
from .slot import *
from .token import *
from .use import *
from .user import *
