import inspect

from ringserve.core.router.ports import Ports
from tests.core.router.rig import Recorder
from tests.simulation.world import World


def test_test_and_simulation_offer_exactly_what_the_router_asks_for() -> None:
    asked = {name for name, _ in inspect.getmembers(Ports, inspect.isfunction) if not name.startswith("_")}
    for stand_in in (Recorder, World):
        for name in asked:
            theirs = inspect.signature(getattr(stand_in, name)).parameters
            assert list(theirs) == list(inspect.signature(getattr(Ports, name)).parameters)
