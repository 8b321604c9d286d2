"""Eight floats at a time, for compiled loops whose sums have a fixed order.

A compiler may not reorder additions, so it adds one value after the other where it is left alone. NumPy's order
(`research.pairwise`) has eight lanes that are independent of each other: these functions say so. Every operation is the
plain one, lane by lane, rounded as ever; a processor with narrower registers takes two or four for one.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

_VECTOR = ir.VectorType(ir.DoubleType(), 8)
_INDEX = ir.IntType(32)
_SOURCE = sha256(Path(__file__).read_bytes()).hexdigest()[:12]


class _Eight(types.Type):
    """Eight floats in one register."""

    def __init__(self) -> None:
        super().__init__(name="eight")


_eight = _Eight()


@register_model(_Eight)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _named(typed: Callable[..., Any], name: str) -> Any:
    """The function for compiled code; its name holds what it does, as compiled code is kept under the names in it."""
    typed.__name__ = f"{name}_{_SOURCE}"
    return intrinsic(typed)


def _operation(name: str, build: Callable[..., Any], given: tuple[Any, ...], result: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return build(builder, *arguments)

    if len(given) == 1:
        return _named(lambda _context, a: (result(a), code), name)
    if len(given) == 2:
        return _named(lambda _context, a, b: (result(a, b), code), name)
    return _named(lambda _context, a, b, c, d: (result(a, b, c, d), code), name)


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _load(_context: Any, array: Any, _index: Any) -> Any:
    if not isinstance(array, types.Array) or (array.ndim, array.layout, array.dtype) != (1, "C", types.float64):
        raise TypingError(f"eight are loaded from one contiguous row of float64, got {array}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], *arguments), align=8)

    return _eight(array, types.int64), code


def _store(_context: Any, array: Any, _index: Any, _values: Any) -> Any:
    if not isinstance(array, types.Array) or (array.ndim, array.layout, array.dtype) != (1, "C", types.float64):
        raise TypingError(f"eight are stored to one contiguous row of float64, got {array}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, at, eight = arguments
        builder.store(eight, _place(context, builder, signature.args[0], row, at), align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, _eight), code


def _same(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(
        one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(_INDEX, 8), [0] * 8)
    )


def _lanes(builder: Any, eight: Any) -> list[Any]:
    return [builder.extract_element(eight, ir.Constant(_INDEX, lane)) for lane in range(8)]


def _pick(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), c, d)


def _total(builder: Any, eight: Any) -> Any:
    a, b, c, d, e, f, g, h = _lanes(builder, eight)
    add = builder.fadd
    return add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h)))


def _most(builder: Any, eight: Any) -> Any:
    best, *others = _lanes(builder, eight)
    for one in others:
        best = builder.select(builder.fcmp_ordered(">", one, best), one, best)
    return best


def _least(builder: Any, eight: Any) -> Any:
    best, *others = _lanes(builder, eight)
    for one in others:
        best = builder.select(builder.fcmp_ordered("<", one, best), one, best)
    return best


def _moves(builder: Any, eight: Any) -> Any:
    differs = builder.fcmp_unordered("!=", eight, ir.Constant(_VECTOR, [0.0] * 8))
    return builder.icmp_unsigned("!=", builder.bitcast(differs, ir.IntType(8)), ir.Constant(ir.IntType(8), 0))


def _first(_context: Any, flags: Any, _index: Any) -> Any:
    if not isinstance(flags, types.Array) or (flags.ndim, flags.layout, flags.dtype) != (1, "C", types.uint8):
        raise TypingError(f"flags are looked for in one contiguous row of uint8, got {flags}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        many = ir.VectorType(ir.IntType(8), 64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), many.as_pointer())
        standing = builder.icmp_unsigned("!=", builder.load(place, align=1), ir.Constant(many, [0] * 64))
        bits = builder.bitcast(standing, ir.IntType(64))
        return builder.cttz(bits, ir.Constant(ir.IntType(1), 0))

    return types.int64(flags, types.int64), code


def _ahead(_context: Any, market: Any, _symbol: Any, _row: Any) -> Any:
    if not isinstance(market, types.Array) or (market.ndim, market.layout) != (3, "C"):
        raise TypingError(f"rows are fetched from a contiguous market, got {market}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, rows, fields = cgutils.unpack_tuple(builder, array.shape, 3)
        line = builder.mul(builder.add(builder.mul(arguments[1], rows), arguments[2]), fields)
        place = builder.bitcast(builder.gep(array.data, [line]), ir.IntType(8).as_pointer())
        hints = [ir.Constant(_INDEX, hint) for hint in (0, 3, 1)]  # to read, to keep, data
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(hint.type for hint in hints)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0"), [place, *hints])
        return context.get_dummy_value()

    return types.void(market, types.int64, types.int64), code


_PAIR = (_eight, _eight)
load8: Any = _named(_load, "load8")
"""load8(row, i): the values at i to i + 7."""
store8: Any = _named(_store, "store8")
"""store8(row, i, eight)."""
same8: Any = _operation("same8", _same, (types.float64,), lambda _: _eight(types.float64))
"""same8(value): eight times the value."""
add8: Any = _operation("add8", lambda builder, a, b: builder.fadd(a, b), _PAIR, _eight)
sub8: Any = _operation("sub8", lambda builder, a, b: builder.fsub(a, b), _PAIR, _eight)
mul8: Any = _operation("mul8", lambda builder, a, b: builder.fmul(a, b), _PAIR, _eight)
div8: Any = _operation("div8", lambda builder, a, b: builder.fdiv(a, b), _PAIR, _eight)
pick8: Any = _operation("pick8", _pick, _PAIR * 2, _eight)
"""pick8(a, b, c, d): c where a > b, else d; so pick8(a, b, a, b) is the greater of two, and b beside a NaN."""
total8: Any = _operation("total8", _total, (_eight,), types.float64)
"""total8(eight): their sum as NumPy joins its lanes."""
most8: Any = _operation("most8", _most, (_eight,), types.float64)
least8: Any = _operation("least8", _least, (_eight,), types.float64)
moves8: Any = _operation("moves8", _moves, (_eight,), types.boolean)
"""moves8(eight): one of them is not zero."""
first64: Any = _named(_first, "first64")
"""first64(flags, i): how far behind i the first flag of the 64 from i on stands; 64 where there is none."""
fetch: Any = _named(_ahead, "fetch")
"""fetch(market, symbol, row): have this line brought near, it is needed soon; nothing is read, any row is allowed."""
