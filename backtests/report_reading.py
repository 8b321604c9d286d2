"""A report read back, and the first thing in it that another one shows differently, in a reader's words."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any, NamedTuple

from data.errors import DataError

VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})
HEADINGS = ("h1", "h2", "h3")
LABELS = ("label", "eyebrow")
CODE = ("script", "style")


class Told(NamedTuple):
    """One text of the page. place: where a reader finds it, such as `Metrics, Sharpe Ratio`."""

    place: str
    text: str


class Reading(HTMLParser):
    """The texts of a page with their places, its attributes, its code, its embedded data.

    texts: everything a reader can see without the script. data: what the script draws. manifest: see
    `backtests.report_manifest`. code: scripts and styles. tags: (tag, attributes) in order.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[Told] = []
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.code: list[str] = []
        self._json: dict[str, str] = {}
        self._open: list[tuple[str, str, str]] = []  # tag, id, class
        self._section = self._sub = self._label = self._row = ""
        self._heads: list[str] = []
        self._cell = -1
        self._verdict = False
        self.feed(page)
        self.close()

    @property
    def data(self) -> Any:
        """What the script draws."""
        return _parsed(self._json.get("run", ""), "data")

    @property
    def manifest(self) -> Any:
        """What the file says of itself."""
        return _parsed(self._json.get("manifest", ""), "manifest")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append((tag, tuple(attrs)))
        if tag in VOID:
            return
        given = dict(attrs)
        self._open.append((tag, given.get("id") or "", given.get("class") or ""))
        if tag in ("section", "header"):
            self._section, self._sub, self._label = "Verdict" if tag == "header" else "", "", ""
        if tag == "table":
            self._heads = []
        if tag == "tr":
            self._cell, self._row = -1, ""
        if tag in ("td", "th"):
            self._cell += 1

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        while self._open:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        """A text."""
        tag, name, style = self._open[-1] if self._open else ("", "", "")
        if tag == "script" and name in ("run", "manifest"):
            self._json[name] = self._json.get(name, "") + data
            return
        if tag in CODE:
            self.code.append(data)
            return
        text = " ".join(data.split())
        if not text:
            return
        place = self._place(tag, style, text)
        self.texts.append(Told(place, text))

    def _place(self, tag: str, style: str, text: str) -> str:
        inside = {each[0] for each in self._open}
        if tag in HEADINGS:
            if tag == "h2":
                self._section, self._sub = text, ""
            elif tag == "h3":
                self._sub = text
            return f"heading {text!r}" if tag != "h1" else "the strategy's name"
        if "thead" in inside:
            self._heads.append(text)
            return self._join(f"column {text!r}")
        if "tbody" in inside:
            if self._cell == 0:
                self._row = text
                return self._join("first column")
            head = self._heads[self._cell] if self._cell < len(self._heads) else ""
            return self._join(self._row, head)
        if tag == "dt" or style.split(" ", maxsplit=1)[0] in LABELS:
            self._label = text
            return self._join(f"name {text!r}")
        if tag == "dd" or "dd" in inside or style.split(" ", maxsplit=1)[0] in ("value", "note", "outcome"):
            return self._join(self._label)
        if tag == "title":
            return "title of the page"
        return self._join("text")

    def _join(self, *parts: str) -> str:
        return ", ".join(part for part in (self._section, self._sub, *parts) if part) or "text"


def first_difference(shown: str, again: str) -> str:
    """Where the page `shown` first differs from `again`, the page of a rerun; "" where they are the same bytes.

    Trades come first, then everything a reader sees, then what the charts draw, then the page's own code.
    """
    if shown == again:
        return ""
    mine, theirs = Reading(shown), Reading(again)
    for found in (
        _trades(mine.data, theirs.data),
        _texts(mine.texts, theirs.texts),
        _drawn(mine.data, theirs.data),
        _manifest(mine.manifest, theirs.manifest),
        _code(mine, theirs),
    ):
        if found:
            return found
    at = next((i for i, (a, b) in enumerate(zip(shown, again, strict=False)) if a != b), min(len(shown), len(again)))
    return f"byte {at:,} of the page: {shown[at : at + 30]!r} in the file, {again[at : at + 30]!r} in the rerun"


def _trades(mine: Any, theirs: Any) -> str:
    a, b = (each.get("trades", {}) for each in (mine, theirs))
    sizes = [len(each.get("symbol", ())) for each in (a, b)]
    for i in range(min(sizes)):
        for name in b:
            here, there = (each.get(name, [])[i : i + 1] for each in (a, b))
            if here != there:
                symbol = theirs["symbols"][b["symbol"][i]]
                return (
                    f"trade {i + 1} ({symbol}): {name.replace('_', ' ')} is {_one(here)} in the file, {_one(there)} in "
                    f"the rerun"
                )
    return "" if sizes[0] == sizes[1] else f"the file has {sizes[0]:,} trades, the rerun {sizes[1]:,}"


def _texts(mine: list[Told], theirs: list[Told]) -> str:
    for one, other in zip(mine, theirs, strict=False):
        if one.text != other.text:
            place = one.place if one.place == other.place else f"{one.place} (there: {other.place})"
            return f"{place}: {one.text!r} in the file, {other.text!r} in the rerun"
    if len(mine) != len(theirs):
        more, who = (mine, "file") if len(mine) > len(theirs) else (theirs, "rerun")
        extra = more[min(len(mine), len(theirs))]
        return f"{extra.place}: {extra.text!r} is in the {who} only"
    return ""


WHERE = {
    "equity": "the equity chart",
    "rolling": "the rolling risk chart",
    "prices": "the price chart",
    "returns": "the distribution of trade returns",
    "figures": "the figure",
}


def _drawn(mine: Any, theirs: Any) -> str:
    found = _apart(mine, theirs, ())
    if found is None:
        return ""
    path, here, there = found
    head = WHERE.get(str(path[0]), f"the page's data, {path[0]}") if path else "the page's data"
    rest = path[1:]
    if path and path[0] == "prices" and rest:
        head, rest = f"{head} of {theirs['symbols'][rest[0]]}", rest[1:]
    where = " ".join([head, *(f"{step!r}" if isinstance(step, str) else f"[{step}]" for step in rest)])
    return f"{where}: {here!r} in the file, {there!r} in the rerun"


def _manifest(mine: Any, theirs: Any) -> str:
    found = _apart(mine, theirs, ())
    if found is None:
        return ""
    path, here, there = found
    return f"the manifest, {'.'.join(map(str, path))}: {here!r} in the file, {there!r} in the rerun"


def _code(mine: Reading, theirs: Reading) -> str:
    if mine.code != theirs.code:
        return "the page's script or style is not the one that draws reports; what it shows cannot be believed"
    for one, other in zip(mine.tags, theirs.tags, strict=False):
        if one != other:
            return f"the page's markup: {one[0]} {dict(one[1])} in the file, {other[0]} {dict(other[1])} in the rerun"
    return "" if len(mine.tags) == len(theirs.tags) else "the page's markup: the file has other elements than the rerun"


def _apart(mine: Any, theirs: Any, path: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any, Any] | None:
    """(path, here, there) of the first value that differs."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for name in [*theirs, *(name for name in mine if name not in theirs)]:
            if name not in mine or name not in theirs:
                return (*path, name), _short(mine.get(name, "nothing")), _short(theirs.get(name, "nothing"))
            found = _apart(mine[name], theirs[name], (*path, name))
            if found:
                return found
        return None
    if isinstance(mine, list) and isinstance(theirs, list):
        for place, (one, other) in enumerate(zip(mine, theirs, strict=False)):
            found = _apart(one, other, (*path, place))
            if found:
                return found
        if len(mine) != len(theirs):
            return path, f"{len(mine)} values", f"{len(theirs)} values"
        return None
    return None if type(mine) is type(theirs) and mine == theirs else (path, _short(mine), _short(theirs))


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else repr(value)
    return value if len(text) <= 80 else text[:77] + "..."


def _one(values: list[Any]) -> str:
    return "nothing" if not values else repr(values[0])


def _parsed(text: str, what: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError(f"the file has no readable {what} inside; it is no report of this version, or was damaged")
    return found
