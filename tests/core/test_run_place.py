from __future__ import annotations

from ringserve.core.run_place import RUNS_JUDGED, RunPlace


def test_only_a_model_well_under_the_hand_over_starts_in_the_loop() -> None:
    assert RunPlace(50e-6).inline
    assert not RunPlace(150e-6).inline
    assert not RunPlace(50e-6, allowed=False).inline


def test_one_long_run_moves_it_out_at_once() -> None:
    place = RunPlace(50e-6)
    place.observe(6e-3)
    assert not place.inline
    assert place.moves == 1


def test_a_slow_median_moves_it_out_and_a_fast_one_back() -> None:
    place = RunPlace(50e-6)
    for _ in range(RUNS_JUDGED):
        place.observe(300e-6)
    assert not place.inline
    for _ in range(RUNS_JUDGED):
        place.observe(20e-6)
    assert place.inline


def test_a_model_that_may_not_run_in_the_loop_never_does() -> None:
    place = RunPlace(1e-6, allowed=False)
    for _ in range(3 * RUNS_JUDGED):
        place.observe(1e-6)
    assert not place.inline


def test_a_median_that_fits_moves_nothing() -> None:
    place = RunPlace(50e-6)
    for _ in range(2 * RUNS_JUDGED):
        place.observe(150e-6)
    assert place.inline
    assert place.moves == 0


def test_in_a_thread_one_long_run_among_short_ones_keeps_it_there() -> None:
    place = RunPlace(150e-6)
    moves = []
    for run_s in [20e-6] * (RUNS_JUDGED - 1) + [6e-3] + [20e-6] * RUNS_JUDGED:
        place.observe(run_s)
        moves.append(place.moves)
    assert moves == [0] * (2 * RUNS_JUDGED - 1) + [1]
    assert place.inline
