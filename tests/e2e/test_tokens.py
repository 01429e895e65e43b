"""No token is anywhere where Airflow keeps something: this runs after all tests with the shared Airflow."""

from __future__ import annotations

import json

from sqlalchemy import Engine, MetaData

from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, WRONG_TOKEN, AirflowStack


def test_no_token_is_in_a_log_or_the_database(stack: AirflowStack, rest: Rest, database: Engine) -> None:
    tables = MetaData()
    tables.reflect(database)
    with database.connect() as session:
        rows = {name: session.execute(table.select()).fetchall() for name, table in tables.tables.items()}
    assert rows["asset_event"] and rows["xcom"] and rows["connection"], "run the other modules with this one"
    logs = "".join(stack.log(name) for name in stack.commands) + stack.task_logs()
    assert "organization 2 at" in logs
    stored = json.dumps({name: [list(row) for row in of_table] for name, of_table in rows.items()}, default=repr)
    for token in (TOKEN, WRONG_TOKEN):
        assert token not in logs
        assert token not in stored
