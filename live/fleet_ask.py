"""The supervisor's side of `live.fleet_state.ask`: one request, one answer, from this user only."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

from data.errors import OnetapeError
from live.hub_socket import is_own

PATIENCE_S = 1.0
MOST_BYTES = 65_536


def answered(listener: socket.socket, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Take one connection, hear its request, say what `answer` makes of it; whoever is slow or strange is let go."""
    try:
        line, _ = listener.accept()
    except OSError:
        return
    with line:
        line.settimeout(PATIENCE_S)
        try:
            if not is_own(line):
                return
            told = answer(json.loads(line.recv(MOST_BYTES)))
        except (OSError, ValueError):
            return
        except OnetapeError as error:
            told = {"error": str(error)}
        with contextlib.suppress(OSError):
            line.sendall(json.dumps(told).encode() + b"\n")
