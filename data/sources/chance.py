"""Random numbers that are the same on every machine and for ever: splitmix64, integers and exact float arithmetic.

`numpy.random` may change its streams between versions, and `exp`, `log` or `normal` differ in the last bit between
processors. Whatever feeds a certificate or a tape is made of these instead.

Source: Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators", OOPSLA; constants of the
public-domain splitmix64 of Vigna.
"""

from __future__ import annotations

import zlib

import numpy as np

from data.types import Floats

GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB
_WORD = (1 << 64) - 1


def mix(value: int) -> int:
    """One splitmix64 output for the 64-bit state `value`."""
    z = (value + GOLDEN) & _WORD
    z = ((z ^ (z >> 30)) * MIX_1) & _WORD
    z = ((z ^ (z >> 27)) * MIX_2) & _WORD
    return z ^ (z >> 31)


def state_of(seed: int, *names: str | int) -> int:
    """A 64-bit state for one purpose: seeds that differ in anything give unrelated streams."""
    state = mix(seed & _WORD)
    for name in names:
        word = zlib.crc32(name.encode()) if isinstance(name, str) else name & _WORD
        state = mix(state ^ mix(word))
    return state


def uniform(state: int, *shape: int) -> Floats:
    """`shape` float64 values in [0, 1), multiples of 2**-53; the stream that starts at `state`."""
    count = int(np.prod(shape, dtype=np.int64))
    z = np.arange(1, count + 1, dtype=np.uint64)
    z *= np.uint64(GOLDEN)
    z += np.uint64(state)
    for shift, factor in ((30, MIX_1), (27, MIX_2)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    z >>= np.uint64(11)
    return (z.astype(np.float64) * 2.0**-53).reshape(shape)


def bell(state: int, *shape: int) -> Floats:
    """`shape` values of mean 0 and deviation 1: the sum of four uniforms, between -3.46 and 3.46."""
    four = uniform(state, 4, *shape)
    total: Floats = four[0] + four[1] + four[2] + four[3]
    return (total - 2.0) * 1.7320508075688772  # the root of 3: four uniforms have variance 1/3
