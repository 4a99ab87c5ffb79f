"""Every way in which a brain is broken on purpose; to add one, see `broken_router` and `broken_node`."""

from tests.simulation.broken_node import BROKEN_NODES
from tests.simulation.broken_router import BROKEN_ROUTERS

BREAKS = (*BROKEN_ROUTERS, *BROKEN_NODES)
