"""One page on 127.0.0.1, read only, for whoever has the address that the terminal shows.

The address holds a token that works once and is exchanged for a session cookie (HttpOnly, SameSite=Strict), so that
nobody else on the machine who learns the address later gets in. The Host header has to be the address itself, so that a
page elsewhere cannot reach this one under a name of its own (DNS rebinding). Nothing can be changed through it: every
method but GET is refused, so there is no form to forge. Its policy allows no script and nothing from anywhere.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dpsynth.errors import ConfigurationError
from dpsynth.ledger import new_secret

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
_CLOSED = "This page is for whoever started it: open the address that the terminal shows. It works once.\n"


class Door:
    """What is known of the visitors: the token, until it is used, and the cookie that it was exchanged for."""

    def __init__(self, port: int) -> None:
        self.cookie = f"dpsynth_review_{port}"
        self.host = f"{HOST}:{port}"
        self._token: str | None = new_secret().hex()
        self._session = new_secret().hex()
        self.address = f"http://{self.host}/?token={self._token}"

    def exchange(self, token: str) -> str | None:
        """The session for the token, the first time that it is shown."""
        good = self._token is not None and hmac.compare_digest(self._token.encode(), token.encode())
        if not good:
            return None
        self._token = None
        return self._session

    def knows(self, session: str) -> bool:
        """Whether a cookie is the session's."""
        return hmac.compare_digest(self._session.encode(), session.encode())


def application(page: str, policy: str, door: Door) -> ASGIApp:
    """The application that shows one page. ``policy`` is its Content-Security-Policy."""
    from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

    headers = {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def answer(request: Request) -> Response:
        if (refused := refusal(request, door)) is not None:
            status, text = refused
            return PlainTextResponse(text, status, {**headers, **({"Allow": "GET"} if status == 405 else {})})
        if request.scope["path"] != "/":
            return PlainTextResponse("There is nothing here.\n", 404, headers)
        if token := request.query_params.get("token"):
            session = door.exchange(token)
            if session is None:
                return PlainTextResponse(_CLOSED, 403, headers)
            entered = RedirectResponse("/", 303, headers)
            entered.set_cookie(door.cookie, session, httponly=True, samesite="strict", path="/")
            return entered
        if not door.knows(request.cookies.get(door.cookie, "")):
            return PlainTextResponse(_CLOSED, 403, headers)
        return HTMLResponse(page, 200, headers)

    return _plain(answer)


def refusal(request: Request, door: Door) -> tuple[int, str] | None:
    """Why a request is turned away before it is looked at: its Host, then its method."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or hosts[0] != door.host:
        return 421, "This is not the host that you asked for.\n"
    if request.method != "GET":
        return 405, "This page is read only.\n"
    return None


def _plain(answer: Callable[[Request], Response]) -> ASGIApp:
    """An application of one function; whatever is no HTTP request is closed."""
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        done: Awaitable[None] = answer(Request(scope, receive))(scope, receive, send)
        await done

    return app


def require_installed() -> None:
    """ConfigurationError unless the libraries of the extra ``review`` are there."""
    try:
        import starlette  # noqa: F401 - only whether it is there
        import uvicorn  # noqa: F401 - likewise
    except ImportError:
        raise ConfigurationError(
            "--serve needs Starlette and uvicorn, which are not installed: pip install dpsynth-engine[review], or "
            "leave --serve out, which writes the same page to a file"
        ) from None


def serve(page: str, policy: str, port: int, tell: Callable[[str], None]) -> None:
    """Show the page on 127.0.0.1 until Ctrl-C; ``tell`` gets the address once it can be opened.

    ``port`` 0 takes any that is free. ConfigurationError if the port is taken, or a library is not installed.
    """
    require_installed()
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
        except OSError as error:
            raise ConfigurationError(
                f"--port {port}: {error.strerror}; leave it out to take any that is free"
            ) from None
        door = Door(listener.getsockname()[1])
        config = uvicorn.Config(
            application(page, policy, door),
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,  # it would hold the token
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        tell(door.address)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            return
