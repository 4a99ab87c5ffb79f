from ringserve.core.router.settings import RouterSettings
from ringserve.settings import Settings


def test_the_defaults_are_those_that_people_read_of() -> None:
    told, used = Settings(), RouterSettings()
    for name in (
        "virtual_nodes",
        "failure_threshold",
        "success_threshold",
        "circuit_timeout_s",
        "hang_timeout_s",
    ):
        assert getattr(used, name) == getattr(told, name)
