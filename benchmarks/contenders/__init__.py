"""The contenders: one module for each, written as its users would write it."""

from __future__ import annotations

OURS = "make_operator"
HTTP_OPERATOR = "http_operator"
DLT = "dlt_rest_api"
FLOOR = "floor"

# In the order of the tables, with their names there.
CONTENDERS = {
    OURS: "MakeAnalyticsOperator",
    HTTP_OPERATOR: "HttpOperator + pagination_function",
    DLT: "dlt rest_api",
    FLOOR: "floor (no guarantees)",
}
