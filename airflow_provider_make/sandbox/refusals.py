"""Error responses in the shape of Make's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_MESSAGES = {
    400: ("Bad Request", "Validation failed for {} parameter(s)."),
    401: ("Unauthorized", "Access denied."),
    403: ("Permission denied", "Access denied."),
    404: ("Not found", "There is nothing at this path."),
    405: ("Method not allowed", "This path does not support the method."),
    429: ("Requests limit for organization exceeded, please try again later.", "Too many requests."),
}


class Refusal(Exception):
    """
    A request is refused with an error response.

    :param status: HTTP status: 400, 401, 403, 404, 405 or 429.
    :param suberrors: A message for each problem; if empty (default), the body has no ``suberrors``.
    :param headers: Headers of the response, none by default.
    :param text: A plain-text body; ``None`` (default) for Make's JSON.
    """

    def __init__(
        self,
        status: int,
        suberrors: Sequence[str] = (),
        *,
        headers: Mapping[str, str] | None = None,
        text: str | None = None,
    ) -> None:
        self.status = status
        self.code = f"SC{status}"
        self.message, detail = _MESSAGES[status]
        self.detail = detail.format(len(suberrors))
        self.suberrors = tuple(suberrors)
        self.headers = dict(headers or {})
        self.text = text
        super().__init__(" ".join([f"{status} {self.message}", *suberrors]))

    def body(self) -> dict[str, object]:
        """
        Return the body of the response.

        :return: An object to be encoded as JSON.
        """
        body: dict[str, object] = {"detail": self.detail, "message": self.message, "code": self.code}
        if self.suberrors:
            body["suberrors"] = [{"message": message, "name": "Error"} for message in self.suberrors]
        return body
