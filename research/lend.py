"""Arrays lent to compiled code: seen, not owned.

Compiled functions count the owners of every array they pass on, by atomic additions. In a pass of a few thousand short
calls over some forty arrays that is most of the time, and threads that share an array wait for each other. A lent
array has no owner to count; whoever lends it keeps it alive until the pass is over.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic


def _lend(_context: Any, array: Any) -> Any:
    if not isinstance(array, types.Array):
        raise TypingError(f"only an array can be lent, got {array}")

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = context.make_array(signature.return_type)(context, builder, arguments[0])
        made.meminfo = cgutils.get_null_value(made.meminfo.type)
        made.parent = cgutils.get_null_value(made.parent.type)
        return made._getvalue()

    return array(array), code


lend: Any = intrinsic(_lend)
"""The same array without an owner; for compiled code only."""
