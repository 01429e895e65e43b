"""The recipes of docs/warehouse.md: its SQL, its Dags, and the rows that a warehouse should have after a load."""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_make.api.page import ScenarioMetrics
from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.output.rows import COLUMNS, RowBuilder
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import run_dag
from tests.support.destinations import destination_for
from tests.support.documents import ROOT, Block, blocks

PAGE = ROOT / "docs" / "warehouse.md"
BLOCKS = blocks(PAGE)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY = timedelta(days=1)
# What a careless load confuses with null, a separator, an escape or the end of the data.
NAMES = [
    "",
    "\\N",
    "NULL",
    "\\.",
    "\\",
    "\\\\n",
    "a\nb",
    "\r\n",
    "a\tb",
    "a\n\\.\nb",
    '"',
    "''",
    "a,b",
    "🐎",
    " ",
    "{a}",
    "$1 %s",
]
_FIELDS = (
    "imtId", "name", "status", "teamId", "teamName", "executions", "operations", "centicredits", "errors",
    "errorRate", "executionsChange", "operationsChange", "centicreditsChange", "errorsChange", "errorRateChange",
)  # fmt: skip
Rows = list[dict[str, Any]]


def block(language: str, beginning: str) -> Block:
    """Return the only code block of a language that has a line with this beginning."""
    (found,) = [
        block
        for block in BLOCKS
        if block.language == language and re.search(rf"^{re.escape(beginning)}", block.text, re.MULTILINE)
    ]
    return found


def dag_source(dag_id: str) -> str:
    """Return the Dag file with this id."""
    return block("python", f"def {dag_id}(").text


def constants(source: str) -> dict[str, str]:
    """Return the texts that are assigned at the top of a Dag file, without importing it."""
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.JoinedStr)):
            exec(compile(ast.Module([node], []), str(PAGE), "exec"), found)
    return {name: value for name, value in found.items() if name != "__builtins__"}


def write_pull(
    path: Path,
    entries: Iterable[ScenarioMetrics],
    *,
    zone: str = "eu1.make.com",
    organization_id: int = 42,
    date_from: datetime = MIDNIGHT - DAY,
) -> dict[str, Any]:
    """Write the file of a pull with the operator's own destination, and return its summary."""
    key = {"zone": zone, "organization_id": organization_id, "date_from": f"{date_from:%Y-%m-%dT%H:%M:%SZ}"}
    destination = destination_for(path)
    with destination:
        destination.begin(RowBuilder(organization_id, date_from, date_from + DAY, MIDNIGHT))
        destination.add([*entries])
        return destination.publish(key)


def expected_of_pull(summary: Mapping[str, Any], entries: Iterable[ScenarioMetrics]) -> Rows:
    """Return the rows that a table should have after the load of these entries, in the order of their ids."""
    date_from = datetime.fromisoformat(summary["date_from"])
    fixed = {name: summary[name] for name in ("zone", "organization_id")}
    times = {"date_from": date_from, "date_to": date_from + DAY, "extracted_at": MIDNIGHT}
    rows = [
        {
            **fixed,
            **{name: getattr(entry, name) for name in entry.__struct_fields__},
            **times,
            "centicredits": None if entry.centicredits is None else Decimal(entry.centicredits),
        }
        for entry in entries
    ]
    return normalized(rows)


def normalized(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Return rows with their columns and themselves in a fixed order, and times in UTC."""
    result: Rows = [
        {
            name: value.astimezone(UTC) if isinstance(value := row[name], datetime) else value
            for name in ("zone", *COLUMNS)
        }
        for row in rows
    ]
    return sorted(result, key=lambda row: (row["zone"], row["date_from"], row["scenario_id"]))


def types(rows: Rows) -> set[tuple[str, type]]:
    """Return the types of each column's values: 1 and 1.0 are equal."""
    return {(name, type(value)) for row in rows for name, value in row.items() if value is not None}


class Days:
    """
    Runs a Dag for several days, with changes between the runs, and says what a table should have then.

    :param sandbox: The sandbox that the Dag pulls from.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._pulled: dict[datetime, Sequence[Mapping[str, Any]]] = {}
        organization = sandbox.organization()
        for scenario, name in zip(organization.scenarios, NAMES, strict=False):
            organization.rename_scenario(scenario.id, name)

    def run(self, dag: Any, day: datetime) -> None:
        """Run the Dag for the interval that begins at a time."""
        for task in dag.tasks:
            # A failure shows at once.
            task.retries = 0
        run = run_dag(dag, day + DAY)
        assert str(run.state) == "success"
        self._pulled[day] = self._sandbox.truth(date_from=day, date_to=day + DAY)

    def rerun_and_backfill(self, dag: Any) -> None:
        """Run yesterday, run it again with fewer and other scenarios, and then the day before."""
        organization = self._sandbox.organization()
        self.run(dag, MIDNIGHT - DAY)
        organization.delete_scenarios([scenario.id for scenario in organization.scenarios[-5:]])
        organization.add_scenarios(2)
        self.run(dag, MIDNIGHT - DAY)
        self.run(dag, MIDNIGHT - 2 * DAY)

    def expected(self) -> Rows:
        """Return the expected rows, without the time of extraction."""
        rows = [
            dict(
                zip(
                    ("zone", *COLUMNS),
                    (self._zone, 1, entry["id"], *map(entry.get, _FIELDS), day, day + DAY, None, None),
                    strict=True,
                )
            )
            for day, entries in self._pulled.items()
            for entry in entries
        ]
        for row in rows:
            row["centicredits"] = Decimal(row["centicredits"])
        return normalized(rows)

    def assert_loaded(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Compare the rows of a table, its times of extraction aside."""
        loaded = normalized(rows)
        assert all(MIDNIGHT <= row["extracted_at"] <= datetime.now(UTC) for row in loaded)
        for row in loaded:
            row["extracted_at"] = None
        assert loaded == self.expected()
        assert len({str(row["name"]) for row in loaded} & {*NAMES}) == len(NAMES)
        assert {name: kind for name, kind in types(loaded)}["centicredits"] is Decimal

    @property
    def _zone(self) -> str:
        return self._sandbox.host.removeprefix("http://")


def add_column(path: Path) -> None:
    """Add a column to the front of a file, as a later version of the provider might."""
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.add_column(0, "since", pa.array(["1"] * len(table))), path)
    else:
        with gzip.open(path) as file:
            lines = [{"since": 1, **json.loads(line)} for line in file]
        path.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))


def arrow_types() -> dict[str, str]:
    """Return the Parquet type of each column of the tables."""
    return {"zone": "string", **{field.name: str(field.type) for field in parquet_schema()}}
