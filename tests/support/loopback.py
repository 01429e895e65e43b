"""Servers on loopback: a TLS relay, a proxy, and a server that sends scripted bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import trustme
from cryptography import x509

PAGE = json.dumps({"total": {}, "analytics": [{"id": 1}], "pg": {}}).encode()
_END = b"\r\n\r\n"
_REFUSED = b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0'


class Server:
    """
    A TCP server with a thread for each connection. Used in ``with``.

    It does not use asyncio's TLS, which closes the connection without an alert when it refuses a client's certificate.

    :param context: The TLS context; None for plain TCP.
    :param address: The address to listen on.
    """

    def __init__(self, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self.connections = 0
        self.stopping = threading.Event()
        self._context = context
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.netloc = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.url = f"{'https' if context else 'http'}://{self.netloc}"

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopping.set()
        self._wake(self._listener)
        self._threads[0].join()
        for client in self._sockets:
            self._wake(client)
        for thread in self._threads[1:]:
            thread.join()

    def serve(self, client: socket.socket) -> None:
        """Serve a connection; it is closed afterwards."""
        raise NotImplementedError

    def _listen(self) -> None:
        with self._listener, suppress(OSError):
            while not self.stopping.is_set():
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context:
                    client = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
                self.connections += 1
                self._sockets.append(client)
                self._start(self._handle, client)

    def _handle(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not isinstance(client, ssl.SSLSocket) or self._shake_hands(client):
                self.serve(client)

    def _shake_hands(self, client: ssl.SSLSocket) -> bool:
        try:
            client.do_handshake()
        except ssl.SSLError:
            # Closing a connection with unread data resets it, and the client may not receive the alert.
            client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):
                pass
            return False
        return True

    def _wake(self, sock: socket.socket) -> None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


class Silent(Server):
    """A server that accepts connections and sends nothing."""

    def serve(self, client: socket.socket) -> None:
        self.stopping.wait()


class Relay(Server):
    """
    A server that forwards all bytes to another server, and back.

    :param port: The other server's port.
    :param context: The TLS context of this side; the other side is plain TCP.
    :param address: The address of both servers.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        super().__init__(context, address)
        self._target = (address, port)

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as upstream:
            _forward(client, upstream, _receive)


class Proxy(Server):
    """
    A proxy for GET requests and tunnels; ``heads`` has the heads of all requests that are not encrypted.

    :param credentials: The required user and password, with a colon between; None for no authentication.
    :param context: The TLS context, if clients connect to the proxy over TLS.
    """

    def __init__(self, credentials: str | None = None, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.heads: list[str] = []
        self._basic = credentials and f"Basic {base64.b64encode(credentials.encode('latin-1')).decode()}"

    @property
    def lines(self) -> list[str]:
        """The method and the target of each request."""
        return [head.partition(" HTTP/")[0] for head in self.heads]

    def serve(self, client: socket.socket) -> None:
        head = self._read_authenticated_head(client)
        method, target, _ = head.split(" ", 2)
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with socket.create_connection((url.hostname, url.port)) as upstream:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 OK" + _END)
                _forward(client, upstream, _receive)
            else:
                upstream.sendall(self._to_direct_request(head))
                _forward(
                    client, upstream, lambda readable: self._to_direct_request(self._read_authenticated_head(readable))
                )

    def _read_authenticated_head(self, client: socket.socket) -> str:
        while True:
            head = _read_head(client)
            self.heads.append(head)
            if not self._basic or f"Proxy-Authorization: {self._basic}\r\n" in head:
                return head
            client.sendall(_REFUSED + _END)

    def _to_direct_request(self, head: str) -> bytes:
        method, target, rest = head.split(" ", 2)
        url = urlsplit(target)
        lines = [line for line in rest.split("\r\n") if not line.startswith("Proxy-")]
        return "\r\n".join([f"{method} {url.path}?{url.query} {lines[0]}", *lines[1:]]).encode()


class Script(Server):
    """
    A server that responds to each request with a function; ``heads`` has the heads of the requests.

    :param respond: Writes a response to the socket; the connection is closed when it raises ``OSError``.
    :param context: The TLS context; None for plain TCP.
    """

    def __init__(self, respond: Callable[[Script, socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.heads: list[str] = []
        self._respond = respond

    def serve(self, client: socket.socket) -> None:
        while True:
            self.heads.append(_read_head(client))
            self._respond(self, client)


def http_response(*headers: str, body: bytes = PAGE, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


def responding(data: bytes, context: ssl.SSLContext | None = None) -> Script:
    return Script(lambda script, client: client.sendall(data), context)


def reset(connection: socket.socket) -> None:
    """Close a connection so that the other side sees it reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stall(script: Script, client: socket.socket) -> None:
    script.stopping.wait()


def stall_amid_the_body(script: Script, client: socket.socket) -> None:
    client.sendall(http_response()[:-5])
    script.stopping.wait()


def drip(*parts: bytes) -> Callable[[Script, socket.socket], None]:
    """Return a function that sends a response in parts, with pauses between them."""

    def send(script: Script, client: socket.socket) -> None:
        for part in parts:
            client.sendall(part)
            if script.stopping.wait(0.05):
                break

    return send


def _forward(client: socket.socket, upstream: socket.socket, read: Callable[[socket.socket], bytes]) -> None:
    # When one side closes, both are closed: half-closed connections are not needed here.
    while True:
        buffered = isinstance(client, ssl.SSLSocket) and client.pending()
        readable = [client] if buffered else select.select([client, upstream], [], [])[0]
        if client in readable:
            upstream.sendall(read(client))
        if upstream in readable:
            client.sendall(_receive(upstream))


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise ConnectionError
    return data


def _read_head(client: socket.socket) -> str:
    head = b""
    while not head.endswith(_END):
        head += _receive(client)
    return head.decode()


class Trust:
    """A private certificate authority; the bundles ``file`` and ``folder`` contain it, and ``other`` does not."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        pem = self.authority.cert_pem.bytes()
        # Named as by "openssl rehash": a hash of the subject in lower case, without its outermost DER header.
        subject = x509.load_pem_x509_certificate(pem).subject
        lower_case = x509.Name(
            [x509.NameAttribute(part.oid, str(part.value).lower()) for part in subject]
        ).public_bytes()
        digest = int.from_bytes(hashlib.sha1(lower_case[2:]).digest()[:4], "little")
        self.folder, self.file, self.other = str(folder / "trusted"), str(folder / "ca.pem"), str(folder / "other.pem")
        (folder / "trusted").mkdir()
        (folder / "trusted" / f"{digest:08x}.0").write_bytes(pem)
        Path(self.file).write_bytes(pem)
        trustme.CA().cert_pem.write_to_path(self.other)

    def server_context(self, name: str = "127.0.0.1", require_client_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED if require_client_certificate else ssl.CERT_NONE
        return context
