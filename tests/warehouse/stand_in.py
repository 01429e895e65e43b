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

    def load(self, table: str, object_name: str, *, replace: bool = False) -> None:
        """Load an object of the bucket into a table, by the names of the columns."""
        path = self._bucket / object_name
        assert path.is_file(), path
        if object_name.endswith(".jsonl.gz"):
            types = {name: kind for name, kind, *_ in self._connection.sql(f"DESCRIBE {table}").fetchall()}
            source = f"read_json('{path}', format = 'newline_delimited', hive_partitioning = false, columns = {types})"
        else:
            source = f"read_parquet('{path}', hive_partitioning = false)"
        if replace:
            self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {source}")
        else:
            self._connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {source}")

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
            (source,) = [str(text.this) for text in statement.find_all(exp.Literal) if "/analytics." in text.this]
            self.load(statement.this.sql("duckdb"), source.removeprefix("s3://your-bucket/"))
            return []
        if isinstance(statement, exp.Insert) and (replaced := statement.args.get("where")):
            statement.set("where", None)
            return [
                f"DELETE FROM {statement.this.sql('duckdb')} WHERE {replaced.sql('duckdb')}",
                statement.sql("duckdb"),
            ]
        if isinstance(statement, exp.Create) and (like := statement.find(exp.LikeProperty)):
            return [f"CREATE TABLE {statement.find(exp.Table)} AS SELECT * FROM {like.this} LIMIT 0"]
        # BigQuery's name for all columns in their order.
        return [statement.sql("duckdb").replace("INSERT ROW", "INSERT")]
