"""Start the page on this machine and run it until it is stopped."""

import signal
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from priorraw.errors import InputError
from priorraw.progress import say

from priorraw_edge.page.limits import Limits

DEFAULT_PORT = 8642
CONNECTIONS = 512  # open at once; more are told to come back


def serve(
    bundle: Path,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    limits: Limits | None = None,
    open_browser: bool = False,
    announce: Callable[[str], None] = say,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        bundle: an xnnpack bundle.
        host: loopback; another address of this machine only if the user asks for it.
        port: 0 takes a free one.
        announce: is told the address once photographs may come.

    Raises:
        InputError: the address cannot be had, the bundle does not run, or FastAPI and uvicorn are not installed.
    """
    try:
        import uvicorn

        from priorraw_edge.page.app import make_app
        from priorraw_edge.page.guard import Guard, is_loopback
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs {error.name}: pip install 'priorraw-edge[serve]'") from None
    bound = _bind(host, port)
    port = bound.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}/"
    if not is_loopback(host):
        say(f"{host} can be reached from other machines: whoever reaches it may use this page; nothing is encrypted")

    def ready() -> None:
        announce(address)
        if open_browser:
            webbrowser.open(address)

    with tempfile.TemporaryDirectory(prefix="priorraw-page-") as folder:
        failures: list[InputError] = []
        app = Guard(make_app(bundle, Path(folder), limits or Limits(), ready, failures.append), host, port)
        config = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=3,
            ws="none",
        )
        server = uvicorn.Server(config)
        with _stopped_by_signals(), suppress(SystemExit):  # uvicorn's, where the start failed
            server.run(sockets=[bound])
        if failures:
            raise failures[0]


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM are how the page is stopped: they end this block, and what was made is cleared away.

    uvicorn shuts down on either and then raises it again.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        InputError: no such address here, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(CONNECTIONS)  # now, so that whoever reads the announcement finds it open
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot be served at ({error.strerror}); name another --port") from None
    return bound
