"""Who takes part: one module each, written as its users would write it."""

from __future__ import annotations

OURS = "make_operator"
HTTP_OPERATOR = "http_operator"
DLT = "dlt_rest_api"
FLOOR = "floor"

# In the order of the tables; the text is how they are called there.
CONTENDERS = {
    OURS: "MakeAnalyticsOperator",
    HTTP_OPERATOR: "HttpOperator + pagination_function",
    DLT: "dlt rest_api",
    FLOOR: "floor (no promises)",
}
