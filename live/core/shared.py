"""`Shared`: where the books differ, the shares that both we and the broker say we hold; no more than these is left.

What we believe to hold, and the broker does not, would be sold short by an exit; its stop would stand against nothing.
"""

from __future__ import annotations


class Shared:
    """Symbols whose books differed at the last comparison. theirs: the broker's signed shares, by column."""

    def __init__(self) -> None:
        self.theirs: dict[int, float] = {}

    def compared(self, differ: dict[int, float]) -> list[int]:
        """A comparison found these to differ, all others to be the same or on their way; those where that is news."""
        news = [j for j in sorted(self.theirs | differ) if self.theirs.get(j) != differ.get(j)]
        self.theirs.clear()
        self.theirs.update(differ)
        return news

    def filled(self, column: int, quantity: float) -> None:
        """So many shares were traded since; the broker may have counted what makes its position larger."""
        held = self.theirs.get(column, 0.0)
        if held * quantity < 0.0:
            left = held + quantity
            self.theirs[column] = left if left * held > 0.0 else 0.0

    def room(self, column: int, held: float) -> float:
        """Of the `held` shares so many may be left."""
        return both(held, self.theirs[column]) if column in self.theirs else abs(held)


def both(ours: float, theirs: float) -> float:
    """Shares that both sides have: none where one is long and the other short."""
    return min(abs(ours), abs(theirs)) if ours * theirs > 0.0 else 0.0
