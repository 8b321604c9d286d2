"""An answer is of exactly one shape; prices and cutoffs are dated, and unknown ones are asked for."""

import datetime as dt
import json

import pytest
from openai.lib._pydantic import to_strict_json_schema

from data.errors import ConfigError
from research.patterns.answer import Answer, read_answer, wire_schema
from research.patterns.config import PatternSettings, load_pattern_settings
from research.patterns.models import model_of


def test_a_whole_answer_is_read(said):
    answer = read_answer(said())
    assert (answer.pattern, answer.bias, answer.confidence) == ("double_top", "down", 0.9)
    assert (answer.levels.support, answer.levels.resistance) == (95.0, 104.5)


WRONG = {
    "not JSON": lambda a: "Sure!",
    "a list": lambda a: json.dumps([a]),
    "a pattern nobody knows": lambda a: json.dumps(a | {"pattern": "moon"}),
    "more than was asked": lambda a: json.dumps(a | {"order": "buy 100"}),
    "less than was asked": lambda a: json.dumps({k: v for k, v in a.items() if k != "bias"}),
    "confidence as text": lambda a: json.dumps(a | {"confidence": "0.9"}),
    "confidence as bool": lambda a: json.dumps(a | {"confidence": True}),
    "confidence above 1": lambda a: json.dumps(a | {"confidence": 1.01}),
    "confidence NaN": lambda a: json.dumps(a | {"confidence": float("nan")}),
    "a level of zero": lambda a: json.dumps(a | {"levels": {"support": 0.0, "resistance": None}}),
    "support above resistance": lambda a: json.dumps(a | {"levels": {"support": 105.0, "resistance": 95.0}}),
    "no reason": lambda a: json.dumps(a | {"reasons": []}),
    "five reasons": lambda a: json.dumps(a | {"reasons": ["x"] * 5}),
    "an endless reason": lambda a: json.dumps(a | {"reasons": ["x" * 301]}),
    "a reason that steers a terminal": lambda a: json.dumps(a | {"reasons": ["\x1b[2Jgone"]}),
    "cut off": lambda a: json.dumps(a)[:-5],
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_anything_else_is_no_answer(spoil, said):
    assert read_answer(spoil(json.loads(said()))) is None


def test_the_schema_on_the_wire_asks_for_what_is_read():
    ours, theirs = wire_schema(), to_strict_json_schema(Answer)
    assert set(ours["properties"]) == set(theirs["properties"]) == set(ours["required"])
    assert ours["additionalProperties"] is False
    assert ours["properties"]["pattern"]["enum"] == theirs["properties"]["pattern"]["enum"]
    assert ours["properties"]["bias"]["enum"] == theirs["properties"]["bias"]["enum"]


def test_a_cost_by_hand():
    # gpt-4o-mini: 0.15, 0.075 and 0.60 dollars a million; 1000 in, 400 of them cached, 50 out:
    # 600 * 0.15e-6 + 400 * 0.075e-6 + 50 * 0.60e-6 = 90e-6 + 30e-6 + 30e-6 = 150e-6 dollars = 150,000,000 pico
    assert model_of("gpt-4o-mini").cost(1000, 400, 50) == 150_000_000
    assert model_of("gpt-4o-mini-2024-07-18").cost(1000, 400, 50) == 150_000_000


def test_an_unknown_model_needs_its_price():
    with pytest.raises(ConfigError, match=r"no price is known for model 'gpt-9'.*price = \["):
        model_of("gpt-9")
    model = model_of("gpt-9", [1, "0.1", 4.0])
    assert model.cost(1, 0, 1) == 5_000_000
    assert model.cutoff is None
    assert model.saw(10**19)
    with pytest.raises(ConfigError, match="three positive numbers"):
        model_of("gpt-9", [1, 0, 4])


def test_a_cutoff_ends_with_its_day():
    model = model_of("gpt-4o-mini")
    midnight = int(dt.datetime(2023, 10, 2, tzinfo=dt.UTC).timestamp()) * 10**9
    assert model.saw(midnight - 1)
    assert not model.saw(midnight)
    assert model_of("gpt-4o-mini", cutoff=dt.date(2025, 1, 1)).saw(midnight)


def test_settings_come_from_the_table_and_wrong_ones_are_named(tmp_path):
    (tmp_path / "onetape.toml").write_text(
        '[patterns]\nmodel = "gpt-9"\nprice = [1, 0.5, 2]\ncutoff = 2025-06-30\nbudget = 2\n'
    )
    settings = load_pattern_settings(tmp_path, budget=3.5)
    assert settings.terms().cost(2, 1, 1) == 3_500_000
    assert settings.terms().cutoff == dt.date(2025, 6, 30)
    assert settings.limit == 3_500_000_000_000
    assert settings.journal == tmp_path / "backtests/runs/patterns.sqlite"
    (tmp_path / "onetape.toml").write_text("[patterns]\nbugdet = 2\n")
    with pytest.raises(ConfigError, match="no key 'bugdet'; did you mean 'budget'"):
        load_pattern_settings(tmp_path)
    for wrong in ({"api": "batch"}, {"budget": -1.0}, {"rows": 3}, {"timeout_s": 0.0}, {"price": (1, 2)}, {"model": 4}):
        with pytest.raises(ConfigError, match=f"patterns.{next(iter(wrong))}"):
            PatternSettings(**wrong)
