"""Serves a page on this machine.

Authors
 * The d2v_sb developers 2026
"""

import contextlib
import ipaddress
import os
import signal
import socket
import tempfile

from d2v_sb.errors import UserError
from d2v_sb.serving.page import import_gradio, look

UPLOADS = "GRADIO_TEMP_DIR"
MEGABYTE = 1 << 20  # as gradio says it in its message


def is_loopback(host):
    """Whether only this machine reaches what is served at a host.

    Arguments
    ---------
    host : str
        A name or an address.

    Returns
    -------
    bool

    Example
    -------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost")
    (True, True)
    >>> is_loopback("0.0.0.0")
    False
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def upload_folder():
    """Has uploads kept in a folder that goes with the page.

    By itself gradio shares one folder among all pages of a machine, and a
    page that was killed leaves its files there.

    Yields
    ------
    str
        The folder, which only this user can read.

    Example
    -------
    >>> with upload_folder() as folder:
    ...     os.environ[UPLOADS] == folder
    True
    >>> os.path.exists(folder)
    False
    """
    before = os.environ.get(UPLOADS)
    with tempfile.TemporaryDirectory(prefix="d2v_sb_serve_") as folder:
        os.environ[UPLOADS] = folder
        try:
            yield folder
        finally:
            if before is None:
                del os.environ[UPLOADS]
            else:
                os.environ[UPLOADS] = before


def make_server(page, host="127.0.0.1", port=7860, max_mb=50.0):
    """What serves a page when its ``run`` is called.

    Mounted, not launched: ``launch`` of gradio asks itself over the network
    whether it is there, which fails behind a proxy.

    Arguments
    ---------
    page : gradio.Blocks
        Of ``build_page``.
    host : str
        The address to listen at.
    port : int
        0 takes a free one.
    max_mb : float
        The largest upload in megabytes.

    Returns
    -------
    uvicorn.Server
        Its ``run(sockets=[...])`` takes the second.
    socket.socket
        Bound to the address.

    Raises
    ------
    UserError
        If the address can not be taken.
    """
    gr = import_gradio()
    import fastapi
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    bound = _bind(host, port)
    app = fastapi.FastAPI()
    if is_loopback(host):
        # Or a site whose name was made to lead here could ask the page.
        app.add_middleware(
            TrustedHostMiddleware, allowed_hosts=["localhost", host]
        )
    app = gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=host,
        server_port=bound.getsockname()[1],
        max_file_size=int(max_mb * MEGABYTE),
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        **look(),
    )
    # Until it is "launched", gradio takes any path of this machine that a
    # request names for an upload.
    page.has_launched = True
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config), bound


def run_until_stopped(server, bound):
    """Serves until Ctrl-C or SIGTERM, after which the caller may clean up.

    Arguments
    ---------
    server, bound
        Of ``make_server``.
    """
    # uvicorn ends in order, then raises the signal anew: by default SIGTERM
    # would end the process before uploads are removed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _bind(host, port):
    bound = None
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        # As uvicorn: a page that has just ended must not block the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # a browser that comes early waits
    except (OSError, OverflowError) as error:
        if bound is not None:
            bound.close()
        raise UserError(
            f"--host {host} --port {port} can not be listened at: {error}. "
            "Choose another --port"
        ) from error
    return bound
