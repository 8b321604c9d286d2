"""Sums in compiled loops have the bits of NumPy's."""

import numpy as np
import pytest

from data.jit import jit
from research.pairwise import DEPTH, join, pairwise_sum, piece_of_same, piece_sum, pieces

SIZES = [0, 1, 2, 7, 8, 9, 15, 16, 127, 128, 129, 130, 136, 255, 256, 257, 1000, 1024, 3000, 4097, 20_011, 100_000]


def values(count, seed=0):
    r = np.random.default_rng([count, seed])
    return r.normal(0, 1, count) * 10.0 ** r.integers(-9, 9, count)


@pytest.mark.parametrize("count", SIZES)
def test_a_sum_has_numpys_bits(count):
    add = jit(pairwise_sum)
    for seed in range(5):
        v = values(count, seed)
        assert add(v, count, np.zeros(DEPTH, np.int64), np.zeros(DEPTH)).hex() == float(np.sum(v)).hex()


@pytest.mark.parametrize("count", SIZES[1:])
def test_pieces_joined_row_by_row_have_numpys_bits(count):
    v, (edges, joins), sums, level = values(count), pieces(count), np.zeros(DEPTH), 0
    for first, last, number in zip(edges, edges[1:], joins, strict=False):
        sums[level] = piece_sum(v[first:last])
        level = join(sums, level + 1, number)
    assert level == 1
    assert (0.0 + sums[0]).hex() == float(np.sum(v)).hex()


@pytest.mark.parametrize("count", range(1, 129))
def test_a_piece_of_one_value_needs_no_array(count):
    for value in (1e5, 0.1, 1 / 3, 99_999.99, 0.0):
        assert piece_of_same(value, count).hex() == float(np.sum(np.full(count, value))).hex()


def test_a_strided_field_is_added_in_the_same_order():
    table = np.zeros(5000, dtype=[("a", float), ("b", float)])
    table["b"] = values(5000)
    add = jit(pairwise_sum)
    assert add(table["b"].copy(), 5000, np.zeros(DEPTH, np.int64), np.zeros(DEPTH)) == np.sum(table["b"])
