import inspect

from ringserve.core.router.ports import Ports
from tests.core.router.rig import Recorder


def test_the_recorder_offers_exactly_what_the_router_asks_for() -> None:
    asked = {name for name, _ in inspect.getmembers(Ports, inspect.isfunction) if not name.startswith("_")}
    for name in asked:
        theirs = inspect.signature(getattr(Recorder, name)).parameters
        assert list(theirs) == list(inspect.signature(getattr(Ports, name)).parameters)
