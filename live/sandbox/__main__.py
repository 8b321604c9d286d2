"""`python -m live.sandbox`: the same as `python -m live sandbox`."""

import sys

from data.door import new_app, run
from live.sandbox.cli import sandbox

app = new_app("A market on loopback.")
app.command()(sandbox)

if __name__ == "__main__":
    run(app, ["sandbox", *sys.argv[1:]])
