"""What stands before the page: requests from other sites and for other hosts are refused, answers say how to be used.

The page has no accounts: whoever reaches its address may use it. What must not happen is that another web site, open
in the same browser, uses it in the user's name. Three things prevent that: the Host header must be ours (no DNS
rebinding), a browser must say that the request comes from our own page (Sec-Fetch-Site, Origin), and what changes
something must carry a header that other sites cannot send without being asked (CORS preflight, which is refused).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any

from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER = b"x-priorraw"
SAFE_METHODS = ("GET", "HEAD")

ANSWER_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        host: the name or address that the server was told to bind to.
        port: its port.
    """

    def __init__(self, app: App, host: str, port: int):
        self._app, self._host, self._port = app, host, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, value)

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *ANSWER_HEADERS]
            await send(message)

        if refusal := self._refusal(scope, headers):
            status, line = refusal
            await JSONResponse({"error": line}, status)(scope, receive, sealed)
        else:
            await self._app(scope, receive, sealed)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Status and reason, or None for a request that may pass."""
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._ours(host):
            return 421, "this server has another name"
        site = headers.get(b"sec-fetch-site", b"none")
        opening = scope["method"] in SAFE_METHODS and scope["path"] == "/"  # a link from elsewhere may open the page
        if site not in (b"same-origin", b"none") and not opening:
            return 403, "requests from other sites are refused"
        if headers.get(b"origin", f"http://{host}".encode()) != f"http://{host}".encode():
            return 403, "requests from other sites are refused"
        if scope["method"] not in SAFE_METHODS and headers.get(TOKEN_HEADER) != b"1":
            return 403, "the header X-PriorRAW: 1 is missing"
        return None

    def _ours(self, host: str) -> bool:
        """Whether a Host header names this server: never a name that somebody else's DNS may point here."""
        name, separator, port = host.rpartition(":")
        if not separator or port != str(self._port):
            return False
        name = name.removeprefix("[").removesuffix("]").lower()
        if name in ("localhost", self._host.lower()):
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self._host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
