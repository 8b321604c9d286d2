"""What market data is good for: down at once, up slowly, and never on what is not fresh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rows import FeedNews, Touch
from live.quotes import Quotes
from live.standing import ORDER, RECOVER_S, SILENT_S, Standing

SECOND = 1_000_000_000


def news(ts, state="fresh", level="L1", name="alpaca", reason=""):
    return FeedNews(int(ts * SECOND), name, state, level if state == "fresh" else "none", 0.0, 0, reason)


def test_the_first_good_word_counts_at_once():
    standing = Standing("L1")
    assert standing.look(0) == "none"
    standing.heard(news(1))
    assert standing.look(SECOND) == "L1"
    assert standing.against() == ""


def test_a_feed_that_goes_and_comes_back_must_be_steady_first():
    standing = Standing("L1")
    standing.heard(news(1))
    standing.look(SECOND)
    standing.heard(news(2, "stale", reason="no data came"))
    assert standing.look(2 * SECOND) == "none"
    assert standing.against() == "no market data, L1 is needed (alpaca: no data came)"
    for second in range(3, 3 + int(RECOVER_S)):
        standing.heard(news(second))
        assert standing.look(second * SECOND) == "none"
    back = 4 + int(RECOVER_S)
    standing.heard(news(back))
    assert standing.look(back * SECOND) == "L1"


def test_a_book_lifts_quotes_and_its_loss_lowers_them():
    standing = Standing("L2")
    standing.heard(news(1))
    standing.heard(news(1, level="L2", name="book"))
    assert standing.look(SECOND) == "L2"
    standing.heard(news(2))
    standing.heard(news(2, "stale", name="book", reason="no book comes any more"))
    assert standing.look(2 * SECOND) == "L1"
    assert standing.against().startswith("only L1, L2 is needed (book: no book comes")


def test_a_book_without_rows_is_nothing():
    standing = Standing("bars")
    standing.heard(news(1, level="L2", name="book"))
    assert standing.look(SECOND) == "none"


def test_silence_and_a_lost_process_are_not_fresh():
    standing = Standing("bars")
    standing.heard(news(1))
    assert standing.look(SECOND) == "L1"
    assert standing.look(int((1 + SILENT_S) * SECOND) + 1) == "none"
    standing.heard(news(20))
    standing.lost(20 * SECOND, "it was killed")
    assert standing.level == "none"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alpaca", "book"]), st.sampled_from(["fresh", "stale", "absent"]),
            st.sampled_from(["bars", "L1", "L2"]), st.floats(0.1, 20.0),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_whatever_is_said_the_level_never_exceeds_what_is_offered_and_rises_only_when_steady(said):
    standing, now, offered_since, before, ever = Standing("L1"), 0.0, {}, "none", False
    for name, state, level, wait in said:
        now += wait
        standing.heard(news(now, state, level, name))
        at = int(now * SECOND)
        found, offered = standing.look(at), standing.offered(at)
        assert ORDER.index(found) <= ORDER.index(offered)
        for each in ORDER[1:]:
            if ORDER.index(offered) >= ORDER.index(each):
                offered_since.setdefault(each, at)
            else:
                offered_since.pop(each, None)
        if ORDER.index(found) > ORDER.index(before) and ever:
            assert at - offered_since[found] >= RECOVER_S * SECOND - 1
        ever = ever or found != "none"
        before = found


def touch(ts, bid, ask):
    return Touch(int(ts * SECOND), "AAA", bid, ask, 1.0, 1.0)


def test_a_quote_is_used_for_five_seconds_and_an_older_one_is_not_believed():
    quotes = Quotes()
    quotes.put(touch(10, 100.0, 100.02))
    quotes.put(touch(9, 1.0, 2.0))
    assert quotes.mid("AAA", 15 * SECOND) == pytest.approx(100.01)
    assert quotes.of("AAA", 16 * SECOND) is None
    assert quotes.of("BBB", 10 * SECOND) is None


def test_a_crossed_quote_is_timed_until_it_is_not():
    quotes = Quotes()
    quotes.put(touch(1, 100.0, 100.0))
    quotes.put(touch(2, 100.1, 100.0))
    assert quotes.crossed_s("AAA", 3 * SECOND) == 2.0
    quotes.put(touch(3, 99.0, 100.0))
    assert quotes.crossed_s("AAA", 4 * SECOND) == 0.0
