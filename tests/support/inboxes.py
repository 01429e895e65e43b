"""Where messages for people arrive, on loopback: a mail server, and the receiver of a chat's webhook."""

from __future__ import annotations

import asyncio
import json
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.controller import Controller


class MailServer(Controller):
    """An SMTP server without TLS; ``mails`` has what arrived, with the recipients of each. Used in ``with``."""

    def __init__(self) -> None:
        super().__init__(self, hostname="127.0.0.1", port=0)
        self.mails: list[tuple[list[str], EmailMessage]] = []

    @property
    def connection_json(self) -> str:
        """The Airflow connection to this server."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        return json.dumps({"conn_type": "smtp", "host": self.hostname, "port": self.port, "extra": extra})

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        # The default policy of the standard library decodes headers and bodies.
        mail: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"

    def _trigger_server(self) -> None:
        # The controller connects once, but does not look up the port that it listens on.
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def html_of(mail: EmailMessage) -> str:
    """Return the HTML of a mail."""
    body: Any = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


class Webhook:
    """A receiver of JSON by HTTP; ``posts`` has the path and the body of each request. Used in ``with``."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def connection_json(self) -> str:
        """The Airflow connection to this webhook, as one of Slack."""
        host, token = f"127.0.0.1:{self._server.server_port}/services", "T0001/B0002/webhook-token"
        fields = {"conn_type": "slackwebhook", "schema": "http", "host": host, "password": token}
        return json.dumps({**fields, "extra": {}})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
