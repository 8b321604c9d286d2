"""What a US trade may update: last, high and low, volume; from its sale conditions, as the consolidated tapes say.

Sources: CTA, "CTS Pillar Multicast Output Specification", field Sale Condition (tapes A and B); UTP, "UTP Data Feed
Services Specification", Sale Condition Matrix (tape C): the columns for consolidated statistics. A trade with
several conditions may update only what each of them allows.

Three rules need more than the code. ONLY: the trade sets the last price only where the session has none yet (sold
out of sequence, prior reference price, derivatively priced, bunched sold). SAME (CTA sold last): the same, or where
the last price came from the same exchange; that the listing market may always do so is not known here. Form T trades
set prices only in extended hours, where they are the regular ones.

Alpaca sends the tapes' own letters, `@` standing for the regular sale on all three; Polygon sends its own numbers,
which name the same conditions for both plans. An unknown code lets a trade count for volume and set no price.
"""

from __future__ import annotations

from functools import lru_cache

VOLUME, HIGH_LOW, LAST, ONLY, SAME, FLOW, CLOSING = 1, 2, 4, 8, 16, 32, 64
EXTENDED = 8
"""Shift of the bits that hold outside the regular session."""

_ALL = VOLUME | HIGH_LOW | LAST | FLOW
_VOLUME_ONLY = VOLUME
_ODD_LOT = VOLUME | FLOW  # real orders met, though no price is set
_ONLY = VOLUME | HIGH_LOW | ONLY
_SAME = VOLUME | HIGH_LOW | SAME
_CORRECTED_CLOSE = HIGH_LOW | LAST
PLAIN = _ALL | _ALL << EXTENDED
"""A trade without conditions, and every trade of a venue that has none."""

_BOTH = {
    "": _ALL,
    " ": _ALL,
    "@": _ALL,  # regular sale
    "C": _VOLUME_ONLY,  # cash sale
    "F": _ALL,  # intermarket sweep
    "H": _VOLUME_ONLY,  # price variation
    "I": _ODD_LOT,  # odd lot
    "K": _ALL,  # rule 127, rule 155
    "M": 0,  # market center official close: a value, no trade
    "N": _VOLUME_ONLY,  # next day
    "O": _ALL,  # opening print
    "P": _ONLY,  # prior reference price
    "Q": 0,  # market center official open: a value, no trade
    "R": _VOLUME_ONLY,  # seller
    "T": _VOLUME_ONLY,  # form T
    "U": _VOLUME_ONLY,  # form T, sold out of sequence
    "V": _VOLUME_ONLY,  # contingent
    "X": _ALL,  # cross, periodic auction
    "Z": _ONLY,  # sold out of sequence
    "4": _ONLY,  # derivatively priced
    "5": _ALL,  # reopening print
    "6": _ALL | CLOSING,  # closing print
    "7": _VOLUME_ONLY,  # qualified contingent
    "9": _CORRECTED_CLOSE,  # corrected consolidated close
}
CTA = _BOTH | {
    "B": _VOLUME_ONLY,  # average price
    "E": _ALL,  # automatic execution
    "L": _SAME,  # sold last
}
UTP = _BOTH | {
    "A": _ALL,  # acquisition
    "B": _ALL,  # bunched
    "D": _ALL,  # distribution
    "G": _ONLY,  # bunched sold
    "L": _ALL,  # sold last
    "S": _ALL,  # split
    "W": _VOLUME_ONLY,  # average price
    "Y": _ALL,  # yellow flag
    "1": _ALL,  # stopped stock
}
# Polygon's condition numbers by the letter that means the same on both tapes, then those of one tape only.
_POLYGON_BOTH = (
    "0:@ 6:@ 7:C 8:6 9:X 10:4 12:T 13:U 14:F 15:M 16:Q 17:O 18:5 19:6 20:N 21:H 22:P 23:K 24:K 25:O 28:5 29:R 32:Z "
    "33:Z 35:@ 37:I 38:9 41:@ 52:V 53:7 55:@"
)
_POLYGON_UTP = "1:A 2:W 4:B 5:G 11:D 27:1 30:L 31:L 34:S 36:Y"
POLYGON = {int(number): UTP[code] for number, code in (p.split(":") for p in f"{_POLYGON_BOTH} {_POLYGON_UTP}".split())}
POLYGON[3] = CTA["E"]


@lru_cache(maxsize=4096)
def trade_bits(conditions: str, tape: str = "") -> int:
    """What a trade may update: bits for the regular session, and shifted by `EXTENDED` those for extended hours.

    Args:
        conditions: codes joined by commas, as `data.events.join_conditions` writes them.
        tape: `A`, `B` (CTA), `C` (UTP) or "" where the vendor does not say.
    """
    if not conditions:
        return PLAIN
    table = CTA if tape in ("A", "B") else UTP
    regular = extended = _ALL
    for code in conditions.split(","):
        if code.startswith("#"):
            number = int(code[1:]) if code[1:].isdigit() else -1
            bits = CTA["L"] if number == 30 and table is CTA else POLYGON.get(number, _VOLUME_ONLY)
            form_t, late = number == 12, number == 13
        else:
            bits = table.get(code, CTA.get(code, _VOLUME_ONLY) if not tape else _VOLUME_ONLY)
            form_t, late = code == "T", code == "U"
        regular = _allow(regular, bits)
        extended = _allow(extended, _ALL if form_t else _ONLY if late else bits)
    return regular | extended << EXTENDED


def _allow(so_far: int, bits: int) -> int:
    """What both allow; a closing print stays one whatever else is said of it."""
    either = (so_far | bits) & CLOSING
    return so_far & bits & (VOLUME | HIGH_LOW | FLOW) | min(_last(so_far), _last(bits), key=_STRENGTH.index) | either


_STRENGTH = (0, ONLY, SAME, LAST)


def _last(bits: int) -> int:
    return bits & (LAST | SAME | ONLY)
