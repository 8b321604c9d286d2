"""The typed answer: what a model may say, and the strict reading of what it said."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Pattern = Literal[
    "none",
    "breakout",
    "breakdown",
    "flag",
    "triangle",
    "wedge",
    "range",
    "double_top",
    "double_bottom",
    "head_and_shoulders",
    "inverse_head_and_shoulders",
    "gap",
    "exhaustion",
    "other",
]
Level = Annotated[float, Field(gt=0.0, lt=10_000.0)]
Reason = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Levels(_Strict):
    """support, resistance: on the picture's scale, where the last close is 100; null where there is none."""

    support: Level | None
    resistance: Level | None

    @model_validator(mode="after")
    def _ordered(self) -> Levels:
        if self.support is not None and self.resistance is not None and self.support > self.resistance:
            raise ValueError("support above resistance")
        return self


class Answer(_Strict):
    """pattern: what is seen. bias: where it points. confidence: 0 to 1. reasons: one to four sentences."""

    pattern: Pattern
    bias: Literal["up", "down", "sideways"]
    levels: Levels
    confidence: Annotated[float, Field(ge=0.0, le=1.0)]
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1, max_length=4)]

    @model_validator(mode="after")
    def _printable(self) -> Answer:
        if any(not reason.isprintable() for reason in self.reasons):
            raise ValueError("control characters in a reason")  # a terminal would obey them
        return self


def read_answer(content: str) -> Answer | None:
    """The answer that `content` is; None where it is not JSON of exactly this shape and range."""
    try:
        return Answer.model_validate_json(content)
    except ValidationError:
        return None


def wire_schema() -> dict[str, Any]:
    """The JSON schema as structured outputs take it: every property required, none besides.

    Ranges and lengths stay out: not every model accepts them in a schema, and `read_answer` checks them anyway.
    """
    text = {"type": "string"}
    level = {"type": ["number", "null"]}

    def one_of(annotation: Any) -> dict[str, Any]:
        return {"type": "string", "enum": list(annotation.__args__)}

    def closed(**properties: Any) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    return closed(
        pattern=one_of(Pattern),
        bias=one_of(Answer.model_fields["bias"].annotation),
        levels=closed(support=level, resistance=level),
        confidence={"type": "number"},
        reasons={"type": "array", "items": text},
    )
