"""The judge at its edges: what noise explains, what nothing explains."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from torch2flow.proof.parity.judge import (
    DIGITS,
    EXACT,
    LIMIT,
    ROUNDING,
    Measure,
    distance_in_float64,
    measure,
    measure_draws,
    summed,
    together,
    worst,
)
from torch2flow.proof.parity.values import choice_order, row_order

EXACTLY = np.array([1.0, 2.0, -4.0])
NOISE = np.array([1e-7, -1e-7, 1e-7])
SINGLE = (EXACTLY + NOISE).astype(np.float32)
NAN, INF = math.nan, math.inf


def single(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def test_the_very_same_elements_are_identical() -> None:
    assert measure(SINGLE.copy(), EXACTLY, SINGLE).verdict == "identical"


@pytest.mark.parametrize(
    ("times", "verdict"), [(2.0, "within noise"), (2.9, "within noise"), (3.2, "elevated"), (31, "different")]
)
def test_the_limit_is_a_multiple_of_the_noise(times: float, verdict: str) -> None:
    exact, noisy = np.zeros(1) + 1.0, np.array([1.0 + 1e-3])
    found = measure(exact + times * 1e-3, exact, noisy)
    assert (found.verdict, round(found.ratio, 1)) == (verdict, times)


def test_without_noise_the_rounding_of_the_largest_value_is_allowed() -> None:
    exact = np.array([1024.0, 0.5])
    assert measure(exact + np.array([0, 1024 * 2.0**-24]), exact, exact).verdict == "within noise"
    assert measure(exact + np.array([0, 1024 * 2.0**-20]), exact, exact).verdict == "elevated"
    assert measure(exact + np.array([0, 1024 * 2.0**-18]), exact, exact).verdict == "different"


def test_zero_is_met_by_zero_alone() -> None:
    zero = np.zeros(3)
    assert measure(zero.copy(), zero, zero).verdict == "identical"
    assert measure(zero + 1e-30, zero, zero).ratio == INF
    assert measure(zero + 1e-30, zero, zero).verdict == "different"


def test_minus_zero_is_zero() -> None:
    assert measure(single(-0.0), np.zeros(1), single(0.0)).verdict == "identical"


@pytest.mark.parametrize(
    ("found", "reference"),
    [
        (single(1, NAN), single(1, 2)),
        (single(1, 2), single(1, NAN)),
        (single(NAN, 1), single(1, NAN)),
        (single(1, INF), single(1, -INF)),
        (single(1, INF), single(1, NAN)),
        (single(1, INF), single(1, 3e38)),
    ],
)
def test_infinities_and_nans_must_be_in_the_same_places(found: Any, reference: Any) -> None:
    made = measure(found, reference.astype(np.float64), reference)
    assert (made.verdict, made.fault) == ("different", "other elements are infinite or NaN")


def test_infinities_and_nans_in_the_same_places_are_no_difference() -> None:
    values = single(1, NAN, INF, -INF)
    assert measure(values.copy(), values.astype(np.float64), values).verdict == "identical"


def test_an_infinity_in_float32_alone_is_no_distance() -> None:
    made = measure(single(INF, 1), np.array([1e39, 1.0]), single(INF, 1))
    assert made.verdict == "identical" and made.error == 0


def test_all_nan_is_identical_to_all_nan() -> None:
    values = single(NAN, NAN)
    assert measure(values.copy(), values, values).verdict == "identical"


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (), (4,), (0,)])
def test_another_shape_is_a_fault(shape: tuple[int, ...]) -> None:
    made = measure(np.zeros(shape, np.float32), EXACTLY, SINGLE)
    assert made.verdict == "different" and made.fault == f"shape {shape} instead of (3,)"


def test_no_elements_are_identical() -> None:
    empty = np.zeros((0, 3), np.float32)
    assert measure(empty, empty, empty).verdict == "identical"


def test_integers_and_bools_must_be_equal() -> None:
    ids = np.array([1, 2, 3])
    assert measure(ids.copy(), ids, ids).verdict == "identical"
    assert measure(ids + np.array([0, 0, 1]), ids, ids).verdict == "different"
    assert measure(np.array([True]), np.array([False]), np.array([False])).verdict == "different"
    assert measure(ids[:0], ids[:0], ids[:0]).verdict == "identical"


def test_integers_may_be_of_another_width_but_not_of_another_kind() -> None:
    ids = np.array([1, 2])
    assert measure(ids.astype(np.int32), ids, ids).verdict == "identical"
    assert measure(ids.astype(np.float32), ids, ids).fault == "dtype float32 instead of int64"
    assert measure(ids.astype(bool), np.ones(2, int), np.ones(2, int)).fault.startswith("dtype bool")
    assert measure(ids, SINGLE[:2], SINGLE[:2]).fault == "dtype int64 instead of float32"


def test_a_number_is_measured_like_an_array() -> None:
    assert measure(np.float32(1.5), 1.5, np.float32(1.5)).verdict == "identical"


# -- many tensors ----------------------------------------------------------------------------------------------


def test_many_tensors_are_one_vector() -> None:
    made = together([Measure(1.0, 1.0, 4.0, (9.0, 1.0)), Measure(1.0, 1.0, 2.0, (16.0, 0.0))])
    assert (made.error, made.noise, made.scale) == (5.0, 1.0, 4.0)


def test_one_fault_is_the_fault_of_all() -> None:
    made = together([measure(SINGLE, EXACTLY, SINGLE), measure(SINGLE[:1], EXACTLY, SINGLE)])
    assert made.verdict == "different" and made.fault.startswith("shape")


def test_all_identical_is_identical_and_nothing_too() -> None:
    assert together([measure(SINGLE, EXACTLY, SINGLE)] * 2).verdict == "identical"
    assert together([]).verdict == "identical"


def test_one_large_gradient_hides_no_fault_in_its_own_noise() -> None:
    fine = Measure(1e-7, 1e-7, 1.0, (1e-14, 1e-14))
    wrong = Measure(1e-3, 1e-7, 1.0, (1e-6, 1e-14))
    assert together([fine, wrong]).ratio > LIMIT


# -- float64 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (EXACTLY, True),
        (EXACTLY * (1 + 1e-12), True),
        (EXACTLY * (1 + 1e-6), False),
        (EXACTLY[:2], False),
        (np.array([1.0, 2.0, NAN]), False),
        (np.array([1.0, 2.0, INF]), False),
    ],
)
def test_two_float64_results_agree_or_not(found: Any, agrees: bool) -> None:
    assert (distance_in_float64(found, EXACTLY) <= EXACT) is agrees


def test_zero_in_float64_is_compared_as_it_is() -> None:
    assert distance_in_float64(np.zeros(2), np.zeros(2)) == 0
    assert distance_in_float64(np.array([0.0, 1e-3]), np.zeros(2)) == 1e-3


@pytest.mark.parametrize(
    ("double", "verdict"),
    [(1e-12, "within noise"), (1e-9, "within noise"), (3e-8, "elevated"), (1e-6, "elevated"), (1e-5, "different")],
)
def test_float64_has_the_last_word(double: float, verdict: str) -> None:
    assert Measure(2e-6, 1e-7, 1.0, double=double).verdict == verdict
    assert Measure(1e-7, 1e-7, 1.0, double=double).verdict == verdict


def test_a_known_cause_allows_what_it_explains_and_no_more() -> None:
    assert Measure(2e-6, 1e-7, 1.0, double=3e-8, allowed=1e-7).verdict == "within noise"
    assert Measure(2e-6, 1e-7, 1.0, double=2e-7, allowed=1e-7).verdict == "elevated"


def test_float64_does_not_excuse_lost_digits() -> None:
    assert Measure(1.0, 1e-7, 1.0, double=1e-15).verdict == "loses digits"
    assert Measure(1e-4, 1e-7, 1.0, double=1e-15).verdict == "loses digits"
    assert Measure(1e-4, 1e-7, 1.0, double=1e-15, digits=1e-3).verdict == "within noise"
    assert Measure(1e-4, 1e-5, 1.0, double=1e-15).verdict == "within noise"  # which float32 itself explains


def test_the_spread_of_float32_is_noise_too() -> None:
    exact = np.array([1.0, 0.5])
    assert measure(exact + 1e-4, exact, exact).verdict == "different"
    assert measure(exact + 1e-4, exact, exact, spread=5e-5).verdict == "within noise"


def test_a_small_channel_beside_a_large_one_is_doubtful_and_float64_tells() -> None:
    exact = np.array([[640.0, 0.5], [320.0, 0.25]])
    found = exact + np.array([[0, 1e-5], [0, 0]])
    made = measure(found, exact, exact)
    assert made.ratio < LIMIT and made.doubtful
    assert distance_in_float64(exact + np.array([[0, 1e-8], [0, 0]]), exact) < EXACT
    assert distance_in_float64(exact + np.array([[0, 1e-8], [0, 0]]), exact, single=exact) > EXACT
    assert distance_in_float64(exact + np.array([[1e-8, 1e-12], [0, 0]]), exact, single=exact) < EXACT


def test_what_cancels_out_may_differ_by_what_float64_can_not_tell() -> None:
    exact = np.array([[1.0, 1e-17], [2.0, 1e-17]])
    assert distance_in_float64(exact * [1, 7], exact, single=exact) < EXACT


def test_the_values_of_a_mask_are_no_scale() -> None:
    exact = np.array([0.5, 0.25, -1e9, -1e9])
    assert measure(exact + np.array([1e-3, 0, 0, 0]), exact, exact).verdict == "different"
    lowest = np.array([0.5, -1.8e308])
    made = measure(np.array([0.5, np.finfo(np.float32).min]), lowest, np.array([0.5, np.finfo(np.float32).min]))
    assert made.verdict == "identical" and made.error == 0
    assert distance_in_float64(np.array([0.5, -3.4e38]), lowest) == 0


def test_random_tensors_are_judged_by_mean_and_deviation() -> None:
    rng = np.random.default_rng(0)

    def drawn(mean: float, deviation: float) -> tuple[Any, Any]:
        values = rng.normal(mean, deviation, (100, 4, 8))
        return values.mean(0), values.std(0)

    assert all(measure_draws(drawn(1, 2), drawn(1, 2), 100).verdict == "within noise" for _ in range(200))
    assert all(measure_draws(drawn(3, 2), drawn(1, 2), 100).verdict != "within noise" for _ in range(20))
    assert all(measure_draws(drawn(1, 4), drawn(1, 2), 100).verdict != "within noise" for _ in range(20))
    still = (np.ones((4, 8)), np.zeros((4, 8)))
    assert measure_draws(still, drawn(1, 2), 100).verdict == "different"
    assert measure_draws(still, still, 100).verdict == "within noise"


def test_where_float32_is_all_noise_float64_has_some() -> None:
    assert Measure(1.0, 0.5, 1.0, double=5e-9).verdict == "within noise"
    assert Measure(1.0, 0.5, 1.0, double=5e-8).verdict == "elevated"
    assert Measure(1.0, 1e-3, 1.0, double=5e-9).verdict == "elevated"


def test_noise_that_could_hide_a_fault_is_doubtful() -> None:
    assert Measure(1e-3, 1e-3, 1.0).doubtful and Measure(4e-7, 1e-7, 1.0).doubtful
    assert not Measure(2e-7, 1e-7, 1.0).doubtful


def test_the_worst_verdict_is_that_of_all() -> None:
    assert worst(["identical", "elevated", "within noise"]) == "elevated"
    assert worst([]) == "identical"


def test_the_same_rows_in_another_order_are_found() -> None:
    rng = np.random.default_rng(0)
    recorded = rng.standard_normal((6, 3, 4)).astype(np.float32)
    order = rng.permutation(6)
    found = np.empty_like(recorded)
    found[order] = recorded + np.float32(1e-6)
    assert np.array_equal(row_order(found, recorded), order)
    assert np.allclose(found[row_order(found, recorded)], recorded, atol=1e-5)


def test_the_same_elements_chosen_in_another_order_are_found() -> None:
    recorded = np.array([[4, 1, 7], [2, 9, 0]])
    found = np.array([[7, 4, 1], [2, 9, 0]])
    order = choice_order(found, recorded)
    assert order is not None and np.array_equal(np.take_along_axis(found, order, -1), recorded)
    assert choice_order(recorded, recorded) is None
    assert choice_order(np.array([[7, 4, 2], [2, 9, 0]]), recorded) is None
    assert choice_order(np.array([[1, 1, 4]]), np.array([[4, 1, 1]])) is None


def test_other_rows_are_no_other_order() -> None:
    recorded = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    assert row_order(recorded, recorded) is None
    assert row_order(recorded[::-1] * np.float32(1.01), recorded) is None
    assert row_order(recorded[:, ::-1].copy(), recorded) is None
    assert row_order(np.full_like(recorded, np.nan), recorded) is None
    assert row_order(recorded[:3], recorded) is None and row_order(np.arange(6), np.arange(6)[::-1]) is None


def test_a_mean_of_many_numbers_may_be_off_by_a_rounding_for_each() -> None:
    """OneFlow's average of a map of 56 x 56 that is nearly constant is off by 2e-5 (maxvit_t of torchvision)."""
    map_, mean = np.full((2, 56, 56), 0.236), np.full((2, 1, 1), 0.236)
    assert summed(mean, [map_]) == 3136
    off = Measure(2.1e-5, 1e-8, 1.0, double=1e-15, digits=max(DIGITS, ROUNDING * summed(mean, [map_])))
    assert off.verdict == "within noise" and replace(off, digits=DIGITS).verdict == "loses digits"
    assert replace(off, error=1e-3).verdict == "loses digits"
