"""`python -m live.symbol_actions`: today's corporate actions, asked by a process that ends again with its SDK."""

from __future__ import annotations

import datetime as dt
import json
import sys

from data.errors import OnetapeError


def main(told: str) -> int:
    """Print the symbols that have one, as JSON; the exit code."""
    from data.calendar import NEW_YORK, SECOND_NS
    from data.pull_actions import actions_of
    from data.settings import load_settings
    from data.sources.rehearsal import clock_of

    asked = json.loads(told)
    settings = load_settings()
    today = dt.datetime.fromtimestamp(asked["now"] / SECOND_NS, NEW_YORK).date()
    number = today.year * 10_000 + today.month * 100 + today.day
    try:
        found = actions_of(
            asked["vendor"], asked["symbols"], today, settings=settings, wall=clock_of(settings.rehearsal)
        )
    except OnetapeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    print(json.dumps(sorted({action.symbol for action in found if action.date == number})))  # its output
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
