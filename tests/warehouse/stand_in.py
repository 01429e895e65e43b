"""A stand-in for a warehouse: it runs the SQL of operators in DuckDB, translated from the warehouse's dialect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp


class StandIn:
    """
    Runs the statements that a warehouse would run.

    :param dialect: The warehouse's dialect, as sqlglot calls it.
    :param bucket: The folder that stands for the bucket.
    """

    def __init__(self, dialect: str, bucket: Path) -> None:
        self._dialect = dialect
        self._bucket = bucket
        self._connection = duckdb.connect()
        self._connection.execute("CREATE SCHEMA analytics; CREATE SCHEMA make")
        # The tables that objects were loaded into.
        self.loaded: list[str] = []

    def run(self, sql: str | Iterable[str]) -> None:
        """Run statements in one transaction."""
        text = sql if isinstance(sql, str) else "\n;".join(sql)
        with self._connection.cursor() as cursor:
            cursor.begin()
            for statement in sqlglot.parse(text, read=self._dialect):
                # S3ToRedshiftOperator begins and commits by itself.
                if statement is None or isinstance(statement, (exp.Transaction, exp.Commit)):
                    continue
                assert statement.find(exp.Command) is None, statement
                for translated in self._translate(statement):
                    cursor.execute(translated)
            cursor.commit()

    def load(self, table: str, object_name: str, *, columns: str = "", replace: bool = False) -> None:
        """Load an object of the bucket into a table, by the names of the columns: of these, or of the table's."""
        path = self._bucket / object_name
        assert path.is_file(), path
        self.loaded.append(table)
        if replace:
            source = f"read_parquet('{path}', hive_partitioning = false)"
            self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {source}")
            return
        types = {name: kind for name, kind, *_ in self._connection.sql(f"DESCRIBE {table}").fetchall()}
        if object_name.endswith(".jsonl.gz"):
            source = f"read_json('{path}', format = 'newline_delimited', hive_partitioning = false, columns = {types})"
        else:
            source = f"read_parquet('{path}', hive_partitioning = false)"
        self._connection.execute(f"INSERT INTO {table} BY NAME SELECT {columns or ', '.join(types)} FROM {source}")

    def drop(self, table: str) -> None:
        """Drop a table."""
        self._connection.execute(f"DROP TABLE {table}")

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        return {name for (name,) in self._connection.sql("SELECT table_name FROM duckdb_tables()").fetchall()}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        rows: list[dict[str, Any]] = self._connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
        return rows

    def _translate(self, statement: exp.Expr) -> list[str]:
        for table in statement.find_all(exp.Table):
            # DuckDB's own catalog has another name.
            table.set("catalog", None)
        if isinstance(statement, exp.Copy):
            # In a subquery, the name of a file is parsed as that of a table.
            names = [node.name for node in statement.find_all(exp.Literal, exp.Table)]
            (source,) = [name for name in names if "/analytics." in name]
            select = statement.find(exp.Select)
            columns = ", ".join(column.sql("duckdb") for column in select.expressions) if select else ""
            self.load(statement.this.sql("duckdb"), source.removeprefix("s3://your-bucket/"), columns=columns)
            return []
        return [statement.sql("duckdb")]
