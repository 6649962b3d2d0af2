"""The service on a real port, with or without TLS, for clients that know no other way to it."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse

import trustme
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.db import connections
from django.test.testcases import QuietWSGIRequestHandler


class Server(ThreadedWSGIServer):
    """Hides the errors of clients that went away; TLS hands its keys over in the thread of the request."""

    tls: ssl.SSLContext | None = None

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().process_request_thread(request, client_address)


_handler = WSGIHandler()


def _application(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    """The service; after each answer the thread's database connections are closed.

    A client that keeps its connection keeps the thread, and so what would hold up the database's removal.
    """
    response = _handler(environ, start_response)
    try:
        return [b"".join(response)]
    finally:
        response.close()
        connections.close_all()


@contextmanager
def serving(certificate_folder: Path | None = None) -> Iterator[str]:
    """HOST:PORT of the service; over TLS where a folder is given, into which `ca.pem` is written to trust."""
    server = Server(("127.0.0.1", 0), QuietWSGIRequestHandler)
    if certificate_folder is not None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(certificate_folder / "ca.pem"))
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(server.tls)
    server.set_app(_application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
