from ringserve.core.failures import Failures
from ringserve.errors import ANSWERS, NoWorker, ServeError


def test_failures_are_counted_by_error_and_begin_at_none_of_each() -> None:
    failures = Failures()
    assert failures.statistics() == {error.__name__: 0 for error in ANSWERS}
    for error in (NoWorker("no"), NoWorker("no"), ServeError("in no table")):
        failures.count(error)
    seen = failures.statistics()
    assert (seen["NoWorker"], seen["ServeError"], seen["BadRequest"]) == (2, 1, 0)
    assert sum(seen.values()) == failures.total == 3
