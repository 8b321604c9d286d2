"""A broker's address at which nobody serves: it only notes who comes. What is refused in time never comes here."""

import contextlib
import socket
import threading


class Decoy:
    """Takes connections and says nothing. heard: what came on each, in order; with one that said nothing as b""."""

    def __init__(self):
        self.heard = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                came, _ = self._server.accept()
                came.settimeout(1.0)
                with came, contextlib.suppress(OSError):
                    self.heard.append(b"")
                    self.heard[-1] = came.recv(65_536)
