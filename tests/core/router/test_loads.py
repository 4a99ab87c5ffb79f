"""Loads: items or depth, whichever is more, and their sum over the able workers."""

from ringserve.core.router.loads import Loads
from ringserve.core.router.settings import RouterSettings
from ringserve.core.router.worker_state import workers_of
from tests.core.router.rig import Rig, hello, spec


def test_the_sum_is_that_of_the_able() -> None:
    workers = workers_of(["a", "b"], RouterSettings())
    loads = Loads(workers)
    workers[0].greet(hello(), 0.0)
    workers[0].depth, workers[1].depth = 3, 5
    for worker in workers:
        loads.reload(worker)
    loads.recount()
    assert (loads.able_count, loads.able_load, workers[1].load) == (1, 3, 5)
    workers[0].items = 4
    loads.reload(workers[0])
    assert loads.able_load == 4


def test_who_leaves_or_hangs_is_not_able() -> None:
    workers = workers_of(["a", "b", "c"], RouterSettings())
    for worker in workers:
        worker.greet(hello(), 0.0)
    workers[0].going_away = workers[1].hung = True
    loads = Loads(workers)
    loads.recount()
    assert [worker.able for worker in workers] == [False, False, True]


def test_items_of_all_models_count_together() -> None:
    rig = Rig(1, up=False)
    rig.up(0, hello(models=(spec(name="a"), spec(name="b"))))
    callers = [rig.submit_new(rows=3, model=model) for model in "ab"]
    assert rig.worker(0).load == 6
    for caller in callers:
        rig.finish(caller)
    assert rig.worker(0).load == 0
