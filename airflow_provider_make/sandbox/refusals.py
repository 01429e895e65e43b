"""The errors Make answers with, in the shape of its API."""

from __future__ import annotations

from collections.abc import Sequence

_MESSAGES = {
    400: ("Validation failed.", "Bad request."),
    401: ("Unauthorized", "Access denied."),
    403: ("Permission denied", "Access denied."),
    404: ("Not found", "There is nothing at this path."),
    405: ("Method not allowed", "This path does not know the method."),
    429: ("Requests limit for organization exceeded, please try again later.", "Too many requests."),
}


class Refusal(Exception):
    """
    A request that gets an error for an answer.

    :param status: HTTP status: 400, 401, 403, 404, 405 or 429.
    :param suberrors: Messages of the single problems; without any the body has no ``suberrors``.
    :param retry_after: Seconds for a ``Retry-After`` header; ``None`` (default) sends none.
    """

    def __init__(self, status: int, suberrors: Sequence[str] = (), *, retry_after: int | None = None) -> None:
        """Find the texts that belong to the status."""
        self.status = status
        self.code = f"SC{status}"
        self.message, self.detail = _MESSAGES[status]
        self.suberrors = tuple(suberrors)
        self.retry_after = retry_after
        super().__init__(" ".join([f"{status} {self.message}", *suberrors]))

    def body(self) -> dict[str, object]:
        """
        Give the body of the answer.

        :return: An object ready for JSON.
        """
        body: dict[str, object] = {"detail": self.detail, "message": self.message, "code": self.code}
        if self.suberrors:
            body["suberrors"] = [{"message": message} for message in self.suberrors]
        return body
