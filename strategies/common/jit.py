"""Whole functions compiled, for the rooms above; how it is done stands in `data.jit`."""

from data.jit import jit

__all__ = ["jit"]
