"""PostgreSQL and Redis for the tests: on free ports of loopback, with data in temporary folders, never a system's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.stack import AIRFLOW, free_port, kill_tree, wait_for


def program(name: str, package: str) -> str:
    """Find a program, also in Debian's folders for PostgreSQL; if it is missing, skip the test, with its package."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if path is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return path


class Service:
    """A server and its data. Used in ``with``."""

    def __init__(self) -> None:
        self.port = free_port()
        self.data = Path(tempfile.mkdtemp(prefix="e2e-service-"))
        self._user: str | None = None

    def command(self) -> list[str]:
        """Prepare the data, and return the command that starts the server."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            with (self.data / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    self.command(), stdout=log, stderr=log, user=self._user, cwd=self.data, start_new_session=True
                )
            wait_for(f"{type(self).__name__} is ready", self.is_ready, 60, 0.1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if hasattr(self, "_process"):
            kill_tree(self._process)
        shutil.rmtree(self.data, ignore_errors=True)

    def _succeeds(self, *command: str) -> bool:
        done = subprocess.run(command, capture_output=True, user=self._user, cwd=self.data, check=False)
        return done.returncode == 0


class PostgreSQL(Service):
    """A PostgreSQL with a database for Airflow."""

    def command(self) -> list[str]:
        # First: without the package, its user does not exist either.
        initdb = program("initdb", "postgresql")
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            self._user = "postgres"
            shutil.chown(self.data, "postgres")
        folder = str(self.data / "database")
        done = self._succeeds(
            initdb, "--pgdata", folder, "--auth", "trust", "--username", "airflow", "--encoding", "UTF8"
        )
        assert done, "initdb failed"
        settings = ["--listen_addresses=127.0.0.1", f"--unix_socket_directories={folder}", "--fsync=off"]
        return [program("postgres", "postgresql"), "-D", folder, "-p", str(self.port), *settings]

    def is_ready(self) -> bool:
        address = ("--host", "127.0.0.1", "--port", str(self.port), "--username", "airflow")
        return self._succeeds(program("createdb", "postgresql"), *address, "airflow") or self._succeeds(
            program("psql", "postgresql"), *address, "--command", "SELECT 1", "airflow"
        )

    @property
    def connection_json(self) -> str:
        """The Airflow connection to it, for PostgresHook."""
        fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": self.port, "login": "airflow"}
        return json.dumps({**fields, "schema": "airflow"})

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment variables that Airflow needs to use one of its databases."""
        address = f"airflow@127.0.0.1:{self.port}/{database}"
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}"}

    def migrate(self) -> None:
        """Create Airflow's tables in the first database."""
        environment = os.environ | self.environment("airflow")
        done = subprocess.run([AIRFLOW, "db", "migrate"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def copy(self, database: str) -> dict[str, str]:
        """Copy the first database, and return the environment variables that Airflow needs to use the copy."""
        address = ("--host", "127.0.0.1", "--port", str(self.port), "--username", "airflow")
        assert self._succeeds(program("createdb", "postgresql"), *address, "--template", "airflow", database)
        return self.environment(database)


class Redis(Service):
    """A Redis that keeps nothing."""

    def command(self) -> list[str]:
        server = program("redis-server", "redis-server")
        return [server, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.data)]

    def is_ready(self) -> bool:
        return self._succeeds(program("redis-cli", "redis-server"), "-p", str(self.port), "ping")
