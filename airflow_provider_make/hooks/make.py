"""The hook: the connection of type ``make``, and the analytics endpoint behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import msgspec
import requests
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_make.api.client import Exchange, drive, drive_async
from airflow_provider_make.api.error_mapping import failure
from airflow_provider_make.api.network import Route
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest, positive_integer
from airflow_provider_make.api.response import AnalyticsPage
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import resolve_time_frame
from airflow_provider_make.api.transport import USER_AGENT, AiohttpTransport, RequestsTransport, TokenAuth
from airflow_provider_make.connection.form import connection_form_widgets, ui_field_behaviour
from airflow_provider_make.connection.settings import AirflowConnection, MakeConnection
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.lineage import organization_uri, report_reading
from airflow_provider_make.paging.exact_reader import Ask
from airflow_provider_make.paging.page_plan import Round


class MakeHook(HttpHook):
    """
    Talk to one zone of Make with one token.

    ``HttpOperator(http_conn_id="make_default", method="GET", endpoint="users/me")`` builds this hook too, and
    so reaches every other endpoint of the zone; endpoints are relative to ``/api/v2``. (Its deferrable mode
    does not: there the HTTP provider uses an asyncio hook of its own, which knows nothing of this connection.)

    One hook keeps one HTTP session alive over all its analytics requests; close it, or use it in ``with``.

    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Seconds before the second try, doubled each time up to 60 s, with full jitter. A
        ``Retry-After`` of the server replaces it, up to 300 s.
    :param method: HTTP method of ``run``, which ``HttpOperator`` uses; analytics are always read with GET.
    :param auth_type: Not supported: the connection's token authorizes. Here because ``HttpOperator`` passes it.
    :param http_options: The other arguments of ``HttpHook``, such as ``tcp_keep_alive`` and ``adapter``.
    :raises MakeInputError: A number is out of range, or there is an ``auth_type``.
    """

    conn_name_attr = "make_conn_id"
    default_conn_name = "make_default"
    conn_type = "make"
    hook_name = "Make"

    # Airflow looks for these on the class itself.
    get_connection_form_widgets = staticmethod(connection_form_widgets)
    get_ui_field_behaviour = staticmethod(ui_field_behaviour)

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
        self.rules = RetryRules(api_retry_limit, api_retry_delay)

    @cached_property
    def settings(self) -> MakeConnection:
        """
        The connection, looked up once and checked.

        :raises MakeInputError: A field of the connection is wrong or missing.
        """
        return self._read_settings(self.get_connection(self.make_conn_id))

    async def look_up_settings(self) -> None:
        """
        Look the connection up without holding up the event loop, for what needs ``settings`` later.

        :raises MakeInputError: A field of the connection is wrong or missing.
        """
        if "settings" not in self.__dict__:
            self.settings = self._read_settings(await get_async_connection(self.make_conn_id))

    def _read_settings(self, connection: AirflowConnection) -> MakeConnection:
        try:
            settings = MakeConnection.read(connection)
        except MakeInputError as error:
            raise MakeInputError(f"Connection {self.make_conn_id!r}: {error}") from None
        if settings.unknown:
            self.log.warning(
                "Connection %r: extra keys %s mean nothing to Make and are ignored.",
                self.make_conn_id,
                ", ".join(settings.unknown),
            )
        return settings

    @property
    def requests_sent(self) -> int:
        """Requests for analytics sent so far, every try counted."""
        return self._exchange.requests_sent

    @property
    def base_url(self) -> str:
        """Where the API is; ends in ``/api/v2``."""
        return self.settings.base_url

    @base_url.setter
    def base_url(self, value: str) -> None:
        """Take no notice: HttpHook assigns what it makes of the connection, before it can know it."""

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Create a session that is authorized for the zone. Extras of the connection never become headers.

        :param headers: Further headers.
        :param extra_options: Overrides of the connection's ``verify``, ``proxies``, ``cert``, ``timeout`` and
            ``trust_env``, and ``HttpHook``'s other options. Redirects are not followed unless these say so.
        :return: The session.
        """
        settings = self.settings
        options = {"timeout": settings.timeout, "allow_redirects": False, **(extra_options or {})}
        self.merged_extra = options
        session = requests.Session()
        session.auth = TokenAuth(settings.authorization)
        session.headers["User-Agent"] = USER_AGENT
        session.headers.update(headers or {})
        session.verify = options.get("verify", options.get("verify_ssl", settings.verify))
        session.proxies = dict(options.get("proxies", options.get("proxy", settings.proxies)))
        session.cert = options.get("cert", settings.cert)
        session.stream = options.get("stream", False)
        session.trust_env = options.get("trust_env", settings.trust_env)
        session.max_redirects = options.get("max_redirects", session.max_redirects)
        if adapter := self.adapter or self.keep_alive_adapter:
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        return session

    def check_response(self, response: requests.Response) -> None:
        """
        Raise Make's error for any answer that is not a success.

        :param response: The answer.
        :raises MakeApiError: Or rather the subclass that tells what to do about it.
        """
        if response.status_code not in range(200, 300):
            raise failure(
                response.status_code,
                response.headers,
                response.content,
                secret=self.settings.token,
                now=datetime.now(UTC),
            )

    def get_analytics_page(
        self,
        *,
        organization_id: Any = None,
        team_id: Any = None,
        folder_id: Any = None,
        status: Any = None,
        date_from: Any = None,
        date_to: Any = None,
        sort_by: str = "name",
        sort_dir: str = "asc",
        offset: int | None = None,
        last: int | None = None,
        limit: int | None = None,
        return_total_count: bool = False,
    ) -> AnalyticsPage:
        """
        Read one page of an organization's analytics.

        :param organization_id: The organization; None for the connection's.
        :param team_id: Only scenarios of this team, or of a list of teams; None for all.
        :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
        :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``.
        :param date_from: Begin of the time frame: a datetime, date or ISO 8601 text, at most a year ago; UTC
            where it names no zone. None for Make's default, a year ago.
        :param date_to: End of the time frame, likewise. None for Make's default, now.
        :param sort_by: Column name (``error_rate``) or Make's (``errorRate``).
        :param sort_dir: ``asc`` or ``desc``.
        :param offset: How many entries to skip.
        :param last: The last key retrieved, to continue behind it; not together with ``offset``.
        :param limit: The largest number of entries wanted; None for Make's default. Make may give fewer.
        :param return_total_count: Whether ``page.pg.total_count`` shall tell the entries of the whole query.
        :return: The page: ``total``, ``analytics`` and ``pg``, by Make's names.
        :raises MakeInputError: An argument is wrong; no request was sent.
        :raises MakeApiError: Make did not answer as hoped, however often it was tried.
        """
        page = PageRequest.read(offset=offset, last=last, limit=limit, return_total_count=return_total_count)
        query = self.query(
            organization_id=organization_id,
            team_id=team_id,
            folder_id=folder_id,
            status=status,
            time_frame=resolve_time_frame(now=datetime.now(UTC), date_from=date_from, date_to=date_to),
            sort_by=sort_by,
            sort_dir=sort_dir,
        )
        self._report_reading(query)
        return self._ask(query, page)

    def iter_analytics_pages(
        self,
        *,
        organization_id: Any = None,
        team_id: Any = None,
        folder_id: Any = None,
        status: Any = None,
        date_from: Any = None,
        date_to: Any = None,
        sort_by: str = "name",
        sort_dir: str = "asc",
        page_size: int = 1000,
    ) -> Iterator[AnalyticsPage]:
        """
        Read all pages of an organization's analytics, one at a time.

        The arguments are those of :meth:`get_analytics_page`, and

        :param page_size: Entries in each page; Make may give fewer.
        :return: An iterator over the pages; arguments are checked now, requests are sent as it goes.
        :raises MakeInputError: An argument is wrong; no request was sent.
        :raises MakeIncompleteResultError: While iterating: the pages do not add up to every scenario once.
        :raises MakeApiError: While iterating: Make did not answer as hoped, however often it was tried.
        """
        size = positive_integer("page_size", page_size)
        query = self.query(
            organization_id=organization_id,
            team_id=team_id,
            folder_id=folder_id,
            status=status,
            time_frame=resolve_time_frame(now=datetime.now(UTC), date_from=date_from, date_to=date_to),
            sort_by=sort_by,
            sort_dir=sort_dir,
        )
        return self._iter_pages(query, size)

    def query(self, *, organization_id: Any = None, **values: Any) -> AnalyticsQuery:
        """
        Make a checked query.

        :param organization_id: The organization; None for the connection's.
        :param values: The other fields of :class:`AnalyticsQuery`.
        :return: The query.
        :raises MakeInputError: A value is wrong, or neither the caller nor the connection names an organization.
        """
        if organization_id is None:
            organization_id = self.settings.organization_id
        if organization_id is None:
            raise MakeInputError(
                f"No organization: expected organization_id as an argument or in connection {self.make_conn_id!r}."
            )
        return AnalyticsQuery.read(organization_id=organization_id, **values)

    def _iter_pages(self, query: AnalyticsQuery, page_size: int) -> Iterator[AnalyticsPage]:
        self._report_reading(query)
        reading = Round(page_size)
        while batch := reading.next_batch():
            for asked in batch:
                page = self._ask(query, asked)
                yield msgspec.structs.replace(page, analytics=reading.accept(asked, page))

    def _report_reading(self, query: AnalyticsQuery) -> None:
        report_reading(self, organization_uri(self.settings.zone, query.organization_id))

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask for one row of the connection's organization, once.

        :return: Whether that worked, and what to tell the user.
        """
        try:
            if self.settings.organization_id is None:
                return False, f"The connection can't be tested without organization_id. Zone: {self.settings.zone}."
            query = self.query(sort_by="name", sort_dir="asc")
            page = self._ask(query, PageRequest(limit=1, return_total_count=True), RetryRules(1, 0.0))
        except (MakeApiError, MakeInputError) as error:
            return False, str(error)
        return True, (
            f"{self.settings.zone} answers for organization {self.settings.organization_id}: "
            f"{page.pg.total_count} scenarios."
        )

    def close(self) -> None:
        """Close the session's connections; a later request opens new ones."""
        if "_session" in self.__dict__:
            self._session.close()
            del self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @asynccontextmanager
    async def connect(self, max_connections: int = 1) -> AsyncGenerator[Ask, None]:
        """
        Open the hook's asyncio side: the same requests, retries and errors, side by side on an event loop.

        :param max_connections: The most connections at the same time.
        :return: In ``async with``: a coroutine function that asks for a page of a query.
        """
        # In a thread: a CA bundle is read there, which takes some milliseconds.
        route = await asyncio.to_thread(lambda: self._route)
        async with AiohttpTransport(route, max_connections, self._exchange.count) as transport:

            async def ask(query: AnalyticsQuery, page: PageRequest) -> AnalyticsPage:
                return await drive_async(self._exchange.ask(query, page), transport)

            yield ask

    @cached_property
    def _route(self) -> Route:
        return Route.find(self.settings)

    @cached_property
    def _exchange(self) -> Exchange:
        return Exchange(self.settings, self.rules, self.log)

    @cached_property
    def _session(self) -> requests.Session:
        return self.get_conn(headers={"Accept": "application/json"})

    def _ask(self, query: AnalyticsQuery, page: PageRequest, rules: RetryRules | None = None) -> AnalyticsPage:
        transport = RequestsTransport(self._route, self._session, self._exchange.count)
        return drive(self._exchange.ask(query, page, rules), transport)
