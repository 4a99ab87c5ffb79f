"""Requests of many rows through a node: what runs, together with what, and what comes back."""

from __future__ import annotations

from ringserve.core.admission import Admission
from ringserve.core.batcher import Batch, CutReason
from ringserve.core.node import Node, NodeSettings
from ringserve.core.signature import Result, ResultLayout, Signature, TensorLayout
from ringserve.core.tensor import DType
from ringserve.errors import DeadlinePassed, Draining, ModelFailed, QueueFull, ServeError
from tests.core.calls import Noted, noted


class Rig:
    """A node whose rows are letters, and the batches it started; `land` finishes one."""

    def __init__(self, max_queue: int = 1000, **more: object) -> None:
        self.batches: list[Batch] = []
        settings = NodeSettings(name="w", **more)  # type: ignore[arg-type]
        self.node = Node(settings, Admission(max_queue, 1000.0), self.batches.append)

    def ask(self, rows: str, key: int = 0, now: float = 0.0, deadline: float = 1e9) -> Noted:
        """Ask with one row for each letter."""
        shape = Signature("m", "", (TensorLayout("x", DType.UINT8, (len(rows), 1)),))
        call = noted(key, now, deadline, shape, rows.encode())
        self.node.submit(call, now)
        return call

    def land(self, now: float = 0.0, *, fail_on: str = "", number: int = 0, shape: str = "") -> str:
        """Finish a batch; each answer is its payload in capitals. Returns what ran, flight|flight."""
        batch = self.batches.pop(number)
        ran = [flight.payload.decode() for flight in batch.flights]
        outcome: list[Result] | ServeError = ModelFailed("it fails")
        if not (fail_on and fail_on in "".join(ran)):
            width = 2 if shape and shape in "".join(ran) else 1
            outcome = [
                Result(
                    ResultLayout((TensorLayout("y", DType.UINT8, (len(rows), width)),)),
                    rows.upper().encode() * width,
                )
                for rows in ran
            ]
        self.node.finished(batch, outcome, now)
        self.node.flush(now)
        return "|".join(ran)

    def settle(self, **more: object) -> list[str]:
        self.node.flush(0.0)
        ran = []
        while self.batches:
            ran.append(self.land(**more))  # type: ignore[arg-type]
        return ran


def result_of(call: Noted) -> Result:
    (outcome,) = call.outcomes
    assert not isinstance(outcome, ServeError)
    return outcome[0]


def payload_of(call: Noted) -> bytes:
    return result_of(call).payload


def test_more_rows_than_a_run_takes_run_in_slices_and_are_answered_once() -> None:
    rig = Rig(max_batch=3)
    call = rig.ask("abcdefgh")
    assert rig.node.depth == 8
    assert rig.settle() == ["abc", "def", "gh"]
    assert payload_of(call) == b"ABCDEFGH"
    assert [output.shape for output in result_of(call).layout.outputs] == [(8, 1)]
    again = rig.ask("abcdefgh")
    assert again.outcomes == [(result_of(call), True)]
    node = rig.node
    assert (node.accepted, node.finished_calls, node.sliced_calls, len(node.cache)) == (2, 2, 1, 1)
    assert (node.items_cut, node.cuts[CutReason.FULL], node.cuts[CutReason.IDLE]) == (8, 2, 1)


def test_a_model_of_one_row_a_run_takes_several_one_after_the_other() -> None:
    rig = Rig(max_batch=1, slots=2)
    call, other = rig.ask("abc"), rig.ask("z", key=1)
    rig.node.flush(0.0)
    assert rig.land(number=1) == "b"
    assert call.outcomes == []
    assert rig.settle() == ["a", "c", "z"]
    assert (payload_of(call), payload_of(other)) == (b"ABC", b"Z")


def test_requests_of_different_rows_share_runs_and_each_gets_its_own() -> None:
    rig = Rig(max_batch=4)
    calls = [rig.ask(rows, key=key) for key, rows in enumerate(("a", "bc", "def", "g", "hi"))]
    assert rig.settle() == ["a|bc", "def|g", "hi"]
    assert [payload_of(call) for call in calls] == [b"A", b"BC", b"DEF", b"G", b"HI"]
    statistics = rig.node.statistics(0.0)
    assert (rig.node.items_cut, statistics.batch_items.sum, statistics.batch_items.count) == (9, 9, 3)
    assert rig.node.cuts == {CutReason.FULL: 1, CutReason.DUE: 0, CutReason.IDLE: 2}


def test_a_request_of_many_rows_shares_its_first_and_its_last_run_with_others() -> None:
    rig = Rig(max_batch=3)
    first, call, second = rig.ask("x", key=1), rig.ask("abcdefg"), rig.ask("y", key=2)
    assert rig.settle() == ["x|ab", "cde", "fg|y"]
    assert [payload_of(one) for one in (first, call, second)] == [b"X", b"ABCDEFG", b"Y"]
    assert rig.node.cuts[CutReason.FULL] == 3


def test_a_request_that_expired_at_the_cut_leaves_the_others_of_its_batch_as_they_are() -> None:
    rig = Rig(max_batch=4)
    late, call, other = rig.ask("abc", deadline=1.0), rig.ask("x", key=1), rig.ask("yz", key=2)
    rig.node.flush(1.5)
    batch = rig.batches[0]
    assert ([one.rows for one in batch.flights], batch.rows, batch.signature.rows) == ([1], 1, 1)
    assert [rig.land(1.5), rig.land(1.5)] == ["x", "yz"]
    assert isinstance(late.outcomes[0], DeadlinePassed)
    assert (payload_of(call), payload_of(other)) == (b"X", b"YZ")


def test_equal_requests_of_many_rows_share_their_slices() -> None:
    rig = Rig(max_batch=2)
    first, second = rig.ask("abcde"), rig.ask("abcde")
    rig.node.flush(0.0)
    assert rig.land() == "ab"
    third = rig.ask("abcde")
    rig.node.cancel(first)
    assert rig.settle() == ["cd", "e"]
    assert (first.outcomes, payload_of(second), payload_of(third)) == ([], b"ABCDE", b"ABCDE")
    assert rig.node.pending == 0


def test_a_slice_that_fails_fails_its_whole_and_the_others_are_not_started() -> None:
    rig = Rig(max_batch=2)
    call, other = rig.ask("abcdefgh"), rig.ask("yz", key=1)
    assert rig.settle(fail_on="d") == ["ab", "cd", "yz"]
    assert [type(outcome) for outcome in call.outcomes] == [ModelFailed]
    assert payload_of(other) == b"YZ"
    assert (rig.node.depth, rig.node.pending, rig.node.waiting_keys(), len(rig.node.cache)) == (0, 0, [], 1)


def test_a_slice_in_a_failed_batch_is_run_again_alone() -> None:
    rig = Rig(max_batch=3)
    call, other, bad = rig.ask("abcd"), rig.ask("x", key=1), rig.ask("!", key=2)
    assert rig.settle(fail_on="!") == ["abc", "d|x|!", "d", "x", "!"]
    assert (payload_of(call), payload_of(other)) == (b"ABCD", b"X")
    assert isinstance(bad.outcomes[0], ModelFailed)


def test_a_slice_in_a_failed_batch_whose_callers_left_is_not_run_again() -> None:
    rig = Rig(max_batch=3, slots=2)
    call, bad = rig.ask("abcd"), rig.ask("!", key=1)
    rig.node.flush(0.0)
    rig.node.cancel(call)
    assert rig.land(fail_on="!", number=1) == "d|!"
    assert rig.settle(fail_on="!") == ["abc", "!"]
    assert isinstance(bad.outcomes[0], ModelFailed)
    assert rig.node.waiting_keys() == []
    assert len(rig.node._flights) == 0


def test_slices_that_nobody_waits_for_are_not_started() -> None:
    rig = Rig(max_batch=2)
    call = rig.ask("abcdefg")
    rig.node.flush(0.0)
    rig.node.cancel(call)
    assert rig.node.depth == 0
    anew = rig.ask("abcdefg")
    assert sorted(rig.settle()) == ["ab", "ab", "cd", "ef", "g"]
    assert payload_of(anew) == b"ABCDEFG"


def test_a_whole_of_which_all_slices_run_goes_on_without_callers_and_may_be_joined() -> None:
    rig = Rig(max_batch=2, slots=2)
    call = rig.ask("abc")
    rig.node.flush(0.0)
    rig.node.cancel(call)
    late = rig.ask("abc")
    assert rig.settle() == ["ab", "c"]
    assert payload_of(late) == b"ABC"


def test_a_deadline_ends_a_whole_between_its_slices() -> None:
    rig = Rig(max_batch=2)
    call = rig.ask("abcdef", deadline=1.0)
    other = rig.ask("z", key=1)
    rig.node.flush(0.0)
    assert rig.land(now=1.5) == "ab"
    assert [type(outcome) for outcome in call.outcomes] == [DeadlinePassed]
    assert rig.settle() == ["z"]
    assert payload_of(other) == b"Z"
    assert (rig.node.depth, rig.node.pending) == (0, 0)


def test_the_sweep_ends_a_whole_that_waits() -> None:
    rig = Rig(max_batch=2)
    call = rig.ask("abcdefg", deadline=1.0)
    rig.node.flush(0.0)
    rig.node.tick(1.1)
    assert [type(outcome) for outcome in call.outcomes] == [DeadlinePassed]
    assert rig.settle() == ["ab"]
    assert rig.node.statistics(1.1).pending == 0


def test_an_empty_queue_takes_more_rows_than_may_wait_and_any_other_refuses_them() -> None:
    rig = Rig(max_queue=4, max_batch=2)
    large, small, equal = rig.ask("abcdefgh"), rig.ask("z", key=1), rig.ask("abcdefgh")
    assert isinstance(small.outcomes[0], QueueFull)
    rig.node.flush(0.0)
    assert rig.node.depth == 6
    assert rig.node.statistics(0.0).pending == 2
    assert rig.settle() == ["ab", "cd", "ef", "gh"]
    assert payload_of(large) == payload_of(equal) == b"ABCDEFGH"
    first, second = rig.ask("y", key=2), rig.ask("abcd", key=3)
    assert isinstance(second.outcomes[0], QueueFull)
    rig.settle()
    assert payload_of(first) == b"Y"


def test_the_end_of_a_drain_fails_a_whole_once() -> None:
    rig = Rig(max_batch=2)
    call = rig.ask("abcdefg")
    rig.node.flush(0.0)
    rig.node.fail_all(Draining("going"))
    assert [type(outcome) for outcome in call.outcomes] == [Draining]
    assert rig.settle() == ["ab"]
    assert (rig.node.pending, rig.node.depth) == (0, 0)


def test_slices_whose_rows_differ_in_shape_make_no_answer() -> None:
    rig = Rig(max_batch=2)
    call = rig.ask("abcd")
    rig.settle(shape="c")
    assert isinstance(call.outcomes[0], ModelFailed)
    assert "shape [2, 1] for 2 rows and [2, 2] for 2" in call.outcomes[0].message
    assert (len(rig.node.cache), len(rig.node._flights)) == (0, 0)


def test_a_window_holds_only_the_rows_left_over() -> None:
    rig = Rig(max_batch=2, window=True, batch_timeout_s=0.02)
    call = rig.ask("abcde")
    rig.node.flush(0.0)
    assert rig.land() == "ab"
    assert rig.land() == "cd"
    assert rig.batches == []
    rig.node.tick(0.02)
    assert rig.land(0.02) == "e"
    assert payload_of(call) == b"ABCDE"


def test_a_crowd_of_wholes_that_leave_is_forgotten_with_all_their_parts() -> None:
    rig = Rig(max_batch=2, max_queue=10_000)
    keep = rig.ask("abcde")
    crowd = [rig.ask("vwxyz", key=key) for key in range(1, 100)]
    for call in crowd:
        rig.node.cancel(call)
    assert rig.node.depth == 5
    assert rig.settle() == ["ab", "cd", "e"]
    assert payload_of(keep) == b"ABCDE"
    assert rig.node._batcher._abandoned == sum(map(len, rig.node._batcher._groups.values()))
