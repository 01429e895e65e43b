"""The schema of the Parquet files that the contenders write."""

from __future__ import annotations

import pyarrow as pa

ROW_GROUP = 65_536
# Columns with few distinct values; a dictionary would make the others slower and larger.
DICTIONARIES = ["status", "team_name"]
CENTICREDITS = pa.decimal128(38, 0)
TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    {
        "organization_id": pa.int64(),
        "scenario_id": pa.int64(),
        "imt_id": pa.string(),
        "name": pa.string(),
        "status": pa.string(),
        "team_id": pa.int64(),
        "team_name": pa.string(),
        "executions": pa.int64(),
        "operations": pa.int64(),
        "centicredits": CENTICREDITS,
        "errors": pa.int64(),
        "error_rate": pa.float64(),
        "executions_change": pa.float64(),
        "operations_change": pa.float64(),
        "centicredits_change": pa.float64(),
        "errors_change": pa.float64(),
        "error_rate_change": pa.float64(),
        "date_from": TIME,
        "date_to": TIME,
        "extracted_at": TIME,
        "extra": pa.string(),
    }
)
