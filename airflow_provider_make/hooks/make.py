"""The hook: the connection of type ``make``, and the analytics endpoint for synchronous code."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Self

import msgspec
import requests
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_make.api.access import Access, Diagnoses, describe_organization, list_some
from airflow_provider_make.api.client import ApiRequest, MakeClient
from airflow_provider_make.api.errors import error_from_response, shorten
from airflow_provider_make.api.event_loop import EventLoopThread
from airflow_provider_make.api.executions import LONG_LOOKBACK, FailureQuery, read_failures
from airflow_provider_make.api.organizations import (
    ListPage,
    ListQuery,
    mark_zone,
    organizations_query,
    parse_list,
    read_list,
    teams_query,
)
from airflow_provider_make.api.page import AnalyticsPage
from airflow_provider_make.api.query import AnalyticsQuery, PageRequest
from airflow_provider_make.api.retry import RetryRules
from airflow_provider_make.api.time_frame import resolve_time_frame
from airflow_provider_make.api.zone_session import ZoneSession
from airflow_provider_make.arguments import parse_conn_id, parse_page_size, parse_positive_integer
from airflow_provider_make.connection.form import connection_form_widgets, ui_field_behaviour
from airflow_provider_make.connection.settings import ConnectionSettings, check_connection, explain_unreadable_variable
from airflow_provider_make.exceptions import MakeApiError, MakeInputError, MakePageLimitError
from airflow_provider_make.lineage import organization_uri, report_input
from airflow_provider_make.links import execution_url
from airflow_provider_make.paging.exact_reader import smaller_page_size
from airflow_provider_make.paging.page_plan import PagePlan

__all__ = ["AnalyticsPage", "MakeHook"]


class MakeHook(HttpHook):
    """
    Fetch scenario analytics from one zone of Make, with one token.

    ``HttpOperator(http_conn_id="make_default", method="GET", endpoint="users/me")`` creates this hook, too, and so
    reaches every other endpoint of the zone; endpoints are relative to ``/api/v2``. (Its deferrable mode does not: it
    uses an asyncio hook of the HTTP provider, which does not know this connection type.)

    A hook keeps its HTTP connections alive over all its requests for analytics. Close it, or use it in ``with``.

    :param make_conn_id: Airflow connection of type ``make``.
    :param api_retry_limit: Tries of one request, the first included; one or more.
    :param api_retry_delay: Longest delay before the second try, in seconds, 0 to 3600; doubled for each further one, up
        to 60 s. Each delay is random, from zero to that. A ``Retry-After`` replaces it, up to 600 s.
    :param method: HTTP method of ``run``, which ``HttpOperator`` calls; analytics are always requested with GET.
    :param auth_type: Not supported: the connection's token authorizes. ``HttpOperator`` passes it.
    :param http_options: The other arguments of ``HttpHook``, such as ``tcp_keep_alive`` and ``adapter``.
    :raises MakeInputError: A number is out of range, or ``auth_type`` is set.
    """

    conn_name_attr = "make_conn_id"
    default_conn_name = "make_default"
    conn_type = "make"
    hook_name = "Make"

    # Airflow expects these on the class itself.
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
        self.make_conn_id = parse_conn_id(make_conn_id)
        super().__init__(method=method, http_conn_id=make_conn_id, **http_options)
        self.retry_rules = RetryRules(api_retry_limit, api_retry_delay)

    @cached_property
    def settings(self) -> ConnectionSettings:
        """
        The settings of the connection, looked up at first use and validated.

        :raises MakeInputError: A field of the connection is not valid, or missing.
        """
        with explain_unreadable_variable(self.make_conn_id):
            return check_connection(self.get_connection(self.make_conn_id), self.make_conn_id, self.log)

    async def load_settings(self) -> None:
        """
        Look up the connection without blocking the event loop; ``settings`` is set then.

        :raises MakeInputError: A field of the connection is not valid, or missing.
        """
        if "settings" not in self.__dict__:
            with explain_unreadable_variable(self.make_conn_id):
                connection = await get_async_connection(self.make_conn_id)
                self.settings = check_connection(connection, self.make_conn_id, self.log)

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
        session = ZoneSession(self.settings, self.merged_extra)
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

    def __getstate__(self) -> dict[str, Any]:
        # Copies, such as those of a task that has run, have neither the token nor the HTTP connections.
        return {name: value for name, value in self.__dict__.items() if name not in ("settings", "event_loop")}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The adapters of requests can't be copied.
        return copy(self)

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
        last: int | str | None = None,
        limit: int | None = None,
        return_total_count: bool = False,
    ) -> AnalyticsPage:
        """
        Fetch one page of an organization's analytics.

        :param organization_id: The organization; None for the connection's.
        :param team_id: Only scenarios of this team, or of a list of teams; None for all.
        :param folder_id: Only scenarios in this folder, or in a list of folders; None for all.
        :param status: Only scenarios with this status, or a list: ``active``, ``inactive``, ``invalid``.
        :param date_from: Start of the time frame: a datetime, date or ISO 8601 text, at most a year ago; UTC
            where it has no time zone. None for Make's default, a year ago.
        :param date_to: End of the time frame, in the same forms. None for Make's default, now.
        :param sort_by: Column name (``error_rate``) or Make's (``errorRate``).
        :param sort_dir: ``asc`` or ``desc``.
        :param offset: The number of entries to skip.
        :param last: ``pg.last`` of the last page received, to continue after it; not together with ``offset``.
        :param limit: The most entries to return; None for Make's default. Make may return fewer.
        :param return_total_count: Whether ``page.pg.total_count`` has the number of entries of the whole query.
        :return: The page: ``total``, ``analytics`` and ``pg``.
        :raises MakeInputError: An argument is not valid; no request was sent.
        :raises MakeApiError: The page could not be fetched, after all tries.
        """
        page = PageRequest.from_arguments(offset=offset, last=last, limit=limit, return_total_count=return_total_count)
        query = self._query(
            organization_id=organization_id,
            team_id=team_id,
            folder_id=folder_id,
            status=status,
            date_from=date_from,
            date_to=date_to,
            sort_by=sort_by,
            sort_dir=sort_dir,
        )
        report_input(self, organization_uri(self.settings.zone, query.organization_id))
        return self.event_loop.run(lambda client: client.fetch_page(query, page))

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
        Fetch all pages of an organization's analytics, one at a time.

        It accepts the filters, time frame and sort order of :meth:`get_analytics_page`. Without ``date_to``, all pages
        end at the time of this call: Make's own "now" would differ from page to page.

        :param page_size: Entries in each page, two or more; Make may return fewer. Where Make refuses so many, a tenth
            of them is requested.
        :return: An iterator over the pages. Arguments are validated now; requests are sent during the iteration.
        :raises MakeInputError: An argument is not valid; no request was sent.
        :raises MakeIncompleteResultError: During the iteration: the pages do not have every scenario exactly once.
        :raises MakeApiError: During the iteration: a page could not be fetched, after all tries.
        """
        size = parse_page_size(page_size)
        query = self._query(
            organization_id=organization_id,
            team_id=team_id,
            folder_id=folder_id,
            status=status,
            date_from=date_from,
            date_to=datetime.now(UTC).replace(microsecond=0) if date_to is None else date_to,
            sort_by=sort_by,
            sort_dir=sort_dir,
        )
        return self._iter_pages(query, size)

    def get_organizations(self) -> list[dict[str, Any]]:
        """
        Fetch all organizations that the token's user is a member of, to map tasks over them.

        The token needs the scope ``organizations:read``. Make lists the organizations of all zones, and this connection
        reaches those with ``in_zone``.

        :return: A dict for each organization, JSON-serialisable: ``organization_id``; ``name``; ``zone``;
            ``timezone_id`` (Make's number of a time zone); ``is_paused``; ``analytics_access`` (whether the plan
            includes analytics); ``in_zone`` (False if it is in another zone than the connection). Make does not return
            each of them for each organization: all but ``organization_id`` and ``in_zone`` may be None.
        :raises MakeApiError: A page could not be fetched, after all tries.
        :raises MakeIncompleteResultError: The list changed in each of three passes.
        """
        return mark_zone(self._list(organizations_query()), self.settings.zone)

    def get_teams(self, organization_id: Any = None) -> list[dict[str, Any]]:
        """
        Fetch all teams of an organization. The token needs the scope ``teams:read``.

        :param organization_id: The organization; None for the connection's.
        :return: A dict for each team, JSON-serialisable: ``team_id``, ``name``, ``organization_id``, ``is_paused``;
            ``name`` and ``is_paused`` may be None.
        :raises MakeInputError: The organization is not valid, or there is none; no request was sent.
        :raises MakeApiError: A page could not be fetched, after all tries.
        :raises MakeIncompleteResultError: The list changed in each of three passes.
        """
        organization = self.settings.resolve_organization_id(organization_id)
        return self._list(teams_query(parse_positive_integer("organization_id", organization)))

    def get_failures(
        self, scenario_id: Any, *, date_from: Any = None, date_to: Any = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """
        Fetch the failed executions of a scenario, to store why it failed. The token needs the scope ``scenarios:read``.

        Make returns 50 per page. Where its list has no errors, the error of each failed execution costs a request more;
        ``requests_per_minute`` of the connection spaces them. The text of errors is cut to 300 characters on one line,
        without markup; the token, and runs of 32 or more characters of hexadecimal or base64, are ``***`` in it.

        :param scenario_id: The scenario.
        :param date_from: Start of the time frame: a datetime, date or ISO 8601 text; UTC where it has no time zone.
            None for 30 days before its end. Make keeps executions as long as the organization's plan says.
        :param date_to: End of the time frame, in the same forms; None for now.
        :param limit: The most executions to return, the newest.
        :return: A dict for each, the newest first, JSON-serialisable: ``scenario_id``, ``execution_id``, ``failed_at``
            (ISO 8601, UTC), ``duration`` (milliseconds), ``operations``, ``centicredits`` (text), ``type`` (how it was
            started), ``error_name``, ``error_message``, ``module`` (app and module), ``url``. What Make does not
            return is None.
        :raises MakeInputError: An argument is not valid; no request was sent.
        :raises MakeApiError: A page could not be fetched, after all tries, or a value is not valid.
        :raises MakeIncompleteResultError: The server repeats a page, or the log has more than 1,000 of them.
        """
        scenario, most = parse_positive_integer("scenario_id", scenario_id), parse_positive_integer("limit", limit)
        now = datetime.now(UTC)
        end = now if date_to is None else date_to
        frame = resolve_time_frame(now=now, date_from=date_from, date_to=end, lookback=LONG_LOOKBACK)
        query = FailureQuery(scenario, frame, self.settings.token)
        failures = self.event_loop.run(lambda client: read_failures(client.fetch, query, most))
        return [
            {
                "scenario_id": scenario,
                **failure.to_row(),
                "url": execution_url(self.settings.zone, failure.team_id, scenario, failure.execution_id),
            }
            for failure in failures
        ]

    def test_connection(self) -> tuple[bool, str]:
        """
        Request one entry of the connection's organization, without retries.

        :return: Whether it succeeded, and the message for the user: if Make refuses the request, with what is at fault;
            without ``organization_id``, with the organizations of the token's user.
        """
        # Airflow drops the hook without closing it, in a web server that runs for weeks.
        with self:
            return self._test_connection(RetryRules(1, 0.0))

    def _test_connection(self, once: RetryRules) -> tuple[bool, str]:
        try:
            if self.settings.organization_id is None:
                return False, (
                    "The connection can't be tested without organization_id. "
                    f"Zone: {self.settings.zone}. {self._describe_organizations(once)}"
                )
            query = self._query(sort_by="name", sort_dir="asc")
            one_entry = PageRequest(limit=1, return_total_count=True)
            page = self.event_loop.run(lambda client: client.fetch_page(query, one_entry, once))
        except (MakeApiError, MakeInputError) as error:
            return False, str(error)
        organization = f"organization {self.settings.organization_id}: {page.pg.total_count} scenarios"
        return True, f"{self.settings.zone} answers for {organization}."

    def _describe_organizations(self, rules: RetryRules) -> str:
        try:
            organizations = self._list(organizations_query(), rules)
        except MakeApiError as error:
            return f"The token's organizations are unknown: {error}"
        marked = mark_zone(organizations, self.settings.zone)
        here, elsewhere = (
            list_some(describe_organization(each) for each in marked if each["in_zone"] is is_here)
            for is_here in (True, False)
        )
        seen = (here or "no organization") + (f"; in other zones: {elsewhere}" if elsewhere else "")
        return f"The token's user is a member of: {shorten(seen, self.settings.token)}."

    def _list(self, query: ListQuery, rules: RetryRules | None = None) -> list[dict[str, Any]]:
        access = Access(query.scope, query.organization_id)
        parse = partial(parse_list, query=query)

        async def read(client: MakeClient) -> list[dict[str, Any]]:
            async def fetch(offset: int) -> ListPage:
                return await client.fetch(ApiRequest(query.name, query.parameters(offset), access, parse), rules)

            return await read_list(fetch)

        return self.event_loop.run(read)

    def _query(
        self, *, organization_id: Any = None, date_from: Any = None, date_to: Any = None, **values: Any
    ) -> AnalyticsQuery:
        return AnalyticsQuery.from_arguments(
            organization_id=self.settings.resolve_organization_id(organization_id),
            time_frame=resolve_time_frame(now=datetime.now(UTC), date_from=date_from, date_to=date_to),
            **values,
        )

    def _iter_pages(self, query: AnalyticsQuery, page_size: int) -> Iterator[AnalyticsPage]:
        report_input(self, organization_uri(self.settings.zone, query.organization_id))
        plan = PagePlan(page_size)
        while plan.total_count is None:
            try:
                first = self._fetch(query, plan, plan.first_page())
            except MakePageLimitError as error:
                plan = PagePlan(page_size := smaller_page_size(page_size, error))
            else:
                yield first
        for request in plan.other_pages():
            yield self._fetch(query, plan, request)

    def _fetch(self, query: AnalyticsQuery, plan: PagePlan, request: PageRequest) -> AnalyticsPage:
        page = self.event_loop.run(partial(MakeClient.fetch_page, query=query, page=request))
        return msgspec.structs.replace(page, analytics=plan.accept(request, page))
