"""The errors of this provider, one class for each thing that a user can do about them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_make.masking import mask_secrets
from airflow_provider_make.text import replace_unprintable

_MAX_VALUE_LENGTH = 500


def _show(value: Any) -> str:
    try:
        text = replace_unprintable(mask_secrets(repr(value)))
    except Exception:
        # Python refuses to print an integer of more than 4300 digits, and other objects may fail in any way.
        return f"({type(value).__name__})"
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"


@contextmanager
def temporary_file_errors() -> Iterator[None]:
    """Name the folder of temporary files in the errors of the block, on a full disk for example: they have no name."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        problem = f"{error.strerror}; temporary files need more space, or another folder in TMPDIR"
        raise OSError(error.errno, problem, tempfile.gettempdir()) from error


class MakeInputError(AirflowFailException, ValueError):
    """An argument or a connection field is not valid, or a result is too large for XCom; Airflow does not retry."""

    @classmethod
    def expected(cls, name: str, value: Any, expectation: str) -> MakeInputError:
        """
        Create the error with the argument, its value, and what would be right.

        :param name: The argument or connection field, as the user writes it.
        :param value: Its value; never a secret. What looks like a token of Make is hidden, and a long value is cut.
        :param expectation: What would be right, as the text after "expected".
        :return: The error, for the caller to raise.
        """
        return cls(f"{name}={_show(value)} is not valid: expected {expectation}.")


class MakeApiError(AirflowException):
    """
    A request failed, or its response can't be used.

    :param message: What is wrong: Make's own ``message`` if it sent one.
    :param status_code: HTTP status of the response; None if there was no response, or its status is not the problem.
    :param code: Make's error code, such as ``SC403``.
    :param detail: Make's ``detail``, such as ``Access denied.``
    :param suberrors: The messages of Make's ``suberrors``.
    :param retry_after: Seconds that the server asked to wait; None if it did not ask.
    :param advice: What to check; None for what the class advises.

    Control characters in these texts are replaced: most of them are a server's, and logs and databases get them.
    """

    advice = ""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        suberrors: Sequence[str] = (),
        retry_after: float | None = None,
        advice: str | None = None,
    ) -> None:
        self.message = replace_unprintable(message)
        super().__init__(self.message)
        self.status_code = status_code  # type: ignore[assignment]  # None if there was no response
        self.code = code and replace_unprintable(code)
        self.detail = detail and replace_unprintable(detail)
        self.suberrors = tuple(map(replace_unprintable, suberrors))
        self.retry_after = retry_after
        if advice is not None:
            self.advice = advice
        self.tries: tuple[str, ...] = ()

    def headline(self) -> str:
        """
        Return Make's error in one line, without advice and without the errors of earlier tries.

        :return: For example ``HTTP 403: Permission denied (SC403): Access denied.``
        """
        text = self.message
        if self.code:
            text += f" ({self.code})"
        for part in (self.detail, *self.suberrors):
            if part and part not in text:
                text += f": {part}"
        return text if self.status_code is None else f"HTTP {self.status_code}: {text}"

    def __str__(self) -> str:
        # A line each: the log view of Airflow's UI cuts long lines.
        lines = [self.headline(), self.advice]
        if len(self.tries) > 1:
            lines.append(f"[{len(self.tries)} tries: {'; '.join(self._history())}]")
        return "\n".join(filter(None, lines))

    def _history(self) -> Iterator[str]:
        if set(self.tries) == {self.headline()}:
            yield "all with this error"
            return
        number = 0
        for headline, group in groupby(self.tries):
            first, number = number + 1, number + len(list(group))
            yield f"{first}. {headline}"
            if number > first:
                yield f"{first + 1}.{f' to {number}.' if number > first + 1 else ''} the same"


class MakeConnectionError(MakeApiError):
    """There was no response: the zone could not be reached, the connection dropped, or the request timed out."""


class MakeServerError(MakeApiError):
    """Make, or a proxy in front of it, has a problem: 5xx, 408 or 425."""


class MakeRateLimitError(MakeApiError):
    """The organization's requests per minute are used up: 429."""

    advice = (
        "The limit is shared by all API clients of the organization. Set requests_per_minute in the "
        "connection, or put the tasks of one organization into an Airflow pool."
    )


class MakeResponseError(MakeApiError):
    """A response does not have the documented shape: it is HTML, empty, cut off, or other JSON."""


class MakeFilterError(MakeResponseError, AirflowFailException):
    """A response has scenarios that do not fit the filters: the server misread them; Airflow does not retry."""


class MakeIncompleteResultError(MakeApiError):
    """The pages did not add up to every scenario exactly once."""


class MakeRequestError(MakeApiError, AirflowFailException):
    """Make rejects the request (any other 4xx); Airflow does not retry."""


class MakePageLimitError(MakeRequestError):
    """Make refuses the number of entries that a page requests (400); Airflow does not retry."""

    advice = "If this is about the entries of a page (pg[limit]), lower page_size."


class MakeAuthenticationError(MakeApiError, AirflowFailException):
    """Make does not accept the token (401); Airflow does not retry."""

    advice = (
        "Check three things of the token in the connection's password: that it is valid, that it is of this zone "
        "(a token belongs to one zone), and that it has the scope analytics:read. "
        "OAuth2 access tokens need auth_scheme Bearer."
    )


class MakeAccessDeniedError(MakeApiError, AirflowFailException):
    """The token may not read this organization's analytics (403); Airflow does not retry."""

    advice = (
        "Analytics need the Enterprise plan, the organization role Owner for the token's user, "
        "the scope analytics:read on the token, and the zone of the organization. "
        "Check these four, and the organization id."
    )
