"""What every request of the hook needs: the connection, the clients, and sessions for ``HttpOperator``."""

from __future__ import annotations

import weakref
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Self

import requests
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_make.api.client import MakeClient
from airflow_provider_make.api.error_mapping import error_from_response
from airflow_provider_make.api.event_loop import EventLoopThread
from airflow_provider_make.api.evidence import Diagnoses
from airflow_provider_make.api.network import requests_session
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.connection.settings import AirflowConnection, ConnectionSettings
from airflow_provider_make.connection.variable import explain_unreadable_variable
from airflow_provider_make.exceptions import MakeInputError


class ZoneHook(HttpHook):
    """Connect to one zone of Make; ``MakeHook`` describes the arguments."""

    default_conn_name = "make_default"

    def __init__(
        self,
        make_conn_id: str = default_conn_name,
        api_retry_limit: int = 5,
        api_retry_delay: float = 1.0,
        method: str = "GET",
        auth_type: Any = None,
        **http_options: Any,
    ) -> None:
        if auth_type is not None:
            raise MakeInputError.expected("auth_type", auth_type, "None: the connection's token authorizes")
        super().__init__(method=method, http_conn_id=make_conn_id, **http_options)
        self.make_conn_id = make_conn_id
        self.retry_rules = RetryRules(api_retry_limit, api_retry_delay)

    @cached_property
    def settings(self) -> ConnectionSettings:
        """
        The settings of the connection, looked up at first use and validated.

        :raises MakeInputError: A field of the connection is not valid, or missing.
        """
        with explain_unreadable_variable(self.make_conn_id):
            return self._check_connection(self.get_connection(self.make_conn_id))

    async def load_settings(self) -> None:
        """
        Look up the connection without blocking the event loop; ``settings`` is set then.

        :raises MakeInputError: A field of the connection is not valid, or missing.
        """
        if "settings" not in self.__dict__:
            with explain_unreadable_variable(self.make_conn_id):
                self.settings = self._check_connection(await get_async_connection(self.make_conn_id))

    def _check_connection(self, connection: AirflowConnection) -> ConnectionSettings:
        try:
            settings = ConnectionSettings.from_airflow(connection)
        except MakeInputError as error:
            raise MakeInputError(f"Connection {self.make_conn_id!r}: {error}") from None
        if settings.unknown_extras:
            self.log.warning(
                "Connection %r: ignoring the extra keys %s, which this provider does not know.",
                self.make_conn_id,
                ", ".join(settings.unknown_extras),
            )
        return settings

    def new_client(self, diagnoses: Diagnoses | None = None) -> MakeClient:
        """
        Create a client for coroutines, to open on the caller's event loop.

        :param diagnoses: The diagnoses of refused requests, to share them with other clients; None for none so far.
        :return: The client.
        """
        return MakeClient(self.settings, self.retry_rules, self.log, diagnoses)

    @cached_property
    def event_loop(self) -> EventLoopThread:
        """The event loop of the hook's own methods, in a thread that keeps a client open."""
        # Without a reference to the hook, which would keep it alive.
        event_loop = EventLoopThread(partial(MakeClient, self.settings, self.retry_rules, self.log))
        # For hooks that are never closed: when the hook is deleted, or at exit.
        weakref.finalize(self, event_loop.close)
        return event_loop

    @property
    def base_url(self) -> str:
        """The base URL of the API; ends in ``/api/v2``."""
        return self.settings.base_url

    @base_url.setter
    def base_url(self, value: str) -> None:
        """Ignore HttpHook's value; ours comes from the connection settings."""

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Create a requests session that is authorized for the zone. Extras of the connection never become headers.

        :param headers: Further headers.
        :param extra_options: Overrides of the connection's ``verify``, ``proxies``, ``cert``, ``timeout`` and
            ``trust_env``, and ``HttpHook``'s other options. Redirects are followed only if ``allow_redirects`` is set.
        :return: The session.
        """
        # HttpHook.run reads the options of the request from this attribute.
        self.merged_extra = {"timeout": self.settings.timeout, "allow_redirects": False, **(extra_options or {})}
        session = requests_session(self.settings, self.merged_extra)
        session.headers.update(headers or {})
        if adapter := self.adapter or self.keep_alive_adapter:
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        return session

    def check_response(self, response: requests.Response) -> None:
        """
        Raise Make's error for a response that is not a success.

        :param response: The response.
        :raises MakeApiError: The status is not 2xx; the subclass depends on the status.
        """
        if response.status_code not in range(200, 300):
            raise error_from_response(
                response.status_code,
                response.headers,
                response.content,
                secret=self.settings.token,
                now=datetime.now(UTC),
            )

    def close(self) -> None:
        """Close the HTTP connections, after requests of other threads; a later request opens new ones."""
        if "event_loop" in self.__dict__:
            self.event_loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
