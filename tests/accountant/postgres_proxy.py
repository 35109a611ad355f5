"""A wire to the server that can be cut: before a message arrives there, or before its answer comes back."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Literal

from tests.accountant.postgres_server import PORT, url


class Wire:
    """Forwards connections to the server. ``cut`` arms it; it cuts once, and takes new connections again."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._target = int(os.environ[PORT])
        self._guard = threading.Lock()
        self._armed: tuple[Literal["message", "answer"], bytes, int] | None = None
        self._open: list[socket.socket] = []
        self.cuts = 0
        self.messages = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, role: str, **query: str) -> str:
        """The address of the server through this wire."""
        return url(role, **query).replace(f":{self._target}/", f":{self.port}/")

    def cut(self, what: Literal["message", "answer"], word: bytes = b"", skip: int = 0) -> None:
        """Cut at the next message that holds ``word``, after ``skip`` others: before it, or before its answer."""
        with self._guard:
            self._armed = (what, word, skip)

    def take_no_more(self) -> None:
        """Refuse new connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """Cut everything and take no more."""
        self.take_no_more()
        for end in self._open:
            _cut(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open += [client, server]
                deaf = threading.Event()
                threading.Thread(target=self._there, args=(client, server, deaf), daemon=True).start()
                threading.Thread(target=self._back, args=(client, server, deaf), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                with self._guard:
                    self.messages += 1
                    what = None
                    if self._armed is not None and self._armed[1] in data:
                        what, word, skip = self._armed
                        self._armed = (what, word, skip - 1) if skip else None
                        what = None if skip else what
                if what == "message":
                    self.cuts += 1
                    break
                if what == "answer":
                    deaf.set()
                server.sendall(data)
        _cut(client)
        _cut(server)

    def _back(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if deaf.is_set():
                    self.cuts += 1
                    break
                client.sendall(data)
        _cut(client)
        _cut(server)


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
