"""Fixtures for stores. ``make test-storage`` installs what they need; elsewhere these tests are skipped."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from tests.storage.stores import (
    ACCOUNT,
    HOST,
    AzureStore,
    GoogleStore,
    LocalStore,
    Process,
    S3Store,
    Store,
    Target,
    new_secret,
)
from tests.support.time_frames import LAST_WEEK

AZURITE = "azurite@3.35.0"
_REQUIRED = ("adlfs", "boto3", "duckdb", "gcp_storage_emulator", "gcsfs", "moto", "pyarrow", "s3fs")
_MISSING = [name for name in _REQUIRED if find_spec(name) is None]
# Otherwise, gcsfs asks Google itself what kind of bucket it is.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
_conn_ids = (f"storage_{number}" for number in itertools.count(1))

Connect = Callable[..., str]
Pull = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def storage_packages() -> None:
    if _MISSING:
        pytest.skip(f"make test-storage installs what these tests need; missing here: {', '.join(_MISSING)}")


@pytest.fixture(scope="session")
def s3_store(storage_packages: None) -> Iterator[Store]:
    environment = {"S3_UPLOAD_PART_MIN_SIZE": "1", "PYTHONUNBUFFERED": "1"}
    with Process([sys.executable, "-m", "moto.server", "-p", "0"], r"http://127.0.0.1:(\d+)", environment) as server:
        yield S3Store(int(server.found))


@pytest.fixture(scope="session")
def google_store(storage_packages: None) -> Iterator[Store]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    # It can't choose a port.
    command = [
        sys.executable,
        "-m",
        "gcp_storage_emulator",
        "start",
        "--host",
        HOST,
        "--port",
        str(port),
        "--in-memory",
    ]
    with Process(command, "(All services started)"):
        yield GoogleStore(port)


@pytest.fixture(scope="session")
def azure_store(storage_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    secret = new_secret()
    command = [_azurite(), "--location", str(tmp_path_factory.mktemp("azurite")), "--blobPort", "0"]
    # It sends no data about its use.
    command += ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    environment = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{secret}"}
    with Process(command, r"listens on http://127.0.0.1:(\d+)", environment) as server:
        yield AzureStore(int(server.found), secret)


def _azurite() -> str:
    # In the virtual environment, and so removed with it.
    folder = Path(sys.prefix) / AZURITE
    command = folder / "node_modules" / ".bin" / "azurite-blob"
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Azure's emulator needs Node and npm, which are not installed")
    if not command.exists():
        install = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", AZURITE]
        try:
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=100)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(folder, ignore_errors=True)
            pytest.skip(f"npm could not install Azure's emulator: {error}")
    return str(command)


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, in an environment without settings for other stores."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in (
        ("AWS_CONFIG_FILE", os.devnull),
        ("AWS_SHARED_CREDENTIALS_FILE", os.devnull),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["local", "s3", "google", "azure"])
def store(request: pytest.FixtureRequest) -> Store:
    name: str = request.param
    if name == "local":
        return LocalStore()
    found: Store = request.getfixturevalue(f"{name}_store")
    return found


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return a function that creates an Airflow connection from JSON, and returns its unique id."""

    def create_connection(connection: str) -> str:
        # Airflow and fsspec cache the file system of a connection until the process ends.
        conn_id = next(_conn_ids)
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
        return conn_id

    return create_connection


@pytest.fixture
def target(store: Store, connect: Connect, tmp_path: Path) -> Target:
    connection = store.connection()
    return Target(store, store.create_folder(tmp_path), connect(connection) if connection else None)


@pytest.fixture
def sandbox(make_sandbox_factory: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    # With centicredits beyond 64 bits: every format and reader must keep them.
    sandbox = make_sandbox_factory(scenarios=1000, huge_credits=True)
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", sandbox.connection_json)
    return sandbox


@pytest.fixture
def pull(sandbox: Sandbox) -> Pull:
    """Return a function that pulls into an object with the operator."""

    def run(target: Target, name: str, **arguments: Any) -> dict[str, Any]:
        options = {
            "page_size": 100,
            "storage_conn_id": target.conn_id,
            "api_retry_delay": 0.01,
            **LAST_WEEK,
            **arguments,
        }
        operator = MakeAnalyticsOperator(task_id="pull", output_path=f"{target.url}/{name}", **options)
        summary: dict[str, Any] = operator.execute({})
        return summary

    return run
