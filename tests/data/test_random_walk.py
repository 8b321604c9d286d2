"""The plain random walk: fast, the same everywhere, clean unless holes are asked for."""

import hashlib

import numpy as np
import pytest

from data.errors import UsageError
from data.sources.chance import bell, mix, state_of, uniform
from data.sources.random_walk import random_bars
from data.types import FEATURES, PRICES


def test_chance_is_published_splitmix64():
    # First outputs of the reference generator seeded with 1234567.
    state, seen = 1234567, []
    for _ in range(3):
        seen.append(mix(state))
        state = (state + 0x9E3779B97F4A7C15) & (2**64 - 1)
    assert seen == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert (uniform(1234567, 3) * 2**53).tolist() == [word >> 11 for word in seen]


def test_chance_is_even_and_streams_do_not_meet():
    values = uniform(state_of(7, "a"), 100_000)
    assert abs(values.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(values, uniform(state_of(7, "b"), 100_000))[0, 1]) < 0.02
    assert abs(bell(state_of(7), 100_000).std() - 1.0) < 0.01


def test_the_bits_of_a_seed_never_change():
    bars, book = random_bars(1_000, 3, 7, gaps=True)
    words = hashlib.sha256()
    for column in (*(getattr(bars, name) for name in PRICES), *(getattr(book, name) for name in FEATURES)):
        words.update(np.where(np.isnan(column), np.nan, column).tobytes("F"))
    assert words.hexdigest()[:16] == "a9e524933d0916f7"


def test_prices_quotes_and_book_agree():
    bars, book = random_bars(20_000, 3, 1)
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (book.bid < book.ask).all()
    assert ((book.bid <= book.microprice) & (book.microprice <= book.ask)).all()
    assert (np.abs(book.imbalance) < 1).all()
    assert (bars.volume > 0).all()


def test_rows_are_those_of_the_exchange_with_its_half_days():
    bars, _ = random_bars(260 * 390, 1, 1, start="2024-01-02")
    dates, counts = np.unique(bars.session, return_counts=True)
    assert dict(zip(dates.tolist(), counts.tolist(), strict=True))[20241129] == 210
    assert (np.diff(bars.ts) > 0).all()


def test_holes_are_missing_rows_halts_lost_books_and_a_late_listing():
    bars, book = random_bars(20_000, ("A", "B"), 1, gaps=True)
    missing = np.isnan(bars.close)
    assert 0.01 < missing[:, 0].mean() < 0.03
    assert missing[:1_000, 1].all()
    assert (bars.volume[missing] == 0).all()
    assert 0.005 < np.isnan(book.bid[:, 0]).mean() < 0.02


def test_one_day_of_daily_rows_is_one_session():
    bars, _ = random_bars(600, 2, 3, "1d")
    assert len(set(bars.session.tolist())) == 600
    assert 0.01 < np.diff(np.log(bars.close), axis=0).std() < 0.025


@pytest.mark.parametrize(("rows", "symbols"), [(0, 3), (10, 0), (10, ())])
def test_nothing_asked_for_is_refused(rows, symbols):
    with pytest.raises(UsageError, match="at least one of each"):
        random_bars(rows, symbols)


def test_more_rows_than_the_calendar_has_are_refused():
    with pytest.raises(UsageError, match="more than the calendar holds"):
        random_bars(20_000, 1, 1, "1d")
