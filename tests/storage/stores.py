"""Stores on loopback: a local folder, an S3 server, and emulators of Google's and Azure's storages."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import secrets
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from fsspec import AbstractFileSystem

HOST = "127.0.0.1"
ACCOUNT = "tests"
WRITER = "writer"
_numbers = itertools.count(1)


class Process:
    """
    A server in a separate process, on a port that it chooses. Used in ``with``.

    :param command: The command.
    :param ready: A regular expression for its output when it listens; ``found`` is the group, for example the port.
    :param environment: Further environment variables.
    """

    def __init__(self, command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._ready = re.compile(ready)
        self._environment = {**os.environ, **(environment or {})}
        self._listening = threading.Event()
        self.found = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment
        )
        threading.Thread(target=self._read, daemon=True).start()
        if not self._listening.wait(60) or not self.found:
            self.__exit__()
            raise RuntimeError(f"{' '.join(self._command)} did not start")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        # All output is read, or the server would block.
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                match = None if self.found else self._ready.search(line)
                if match:
                    self.found = match[1]
                    self._listening.set()
        self._listening.set()


class Store(Protocol):
    """A store, and direct access to its content."""

    filesystem: AbstractFileSystem
    port: int

    def create_folder(self, folder: Path) -> str:
        """Create an empty folder or bucket, and return its URL."""

    def connection(self, *, port: int | None = None, secret: str | None = None) -> str | None:
        """Return an Airflow connection as JSON, optionally with another port or secret; None if none is needed."""

    def arrow(self) -> Any:
        """Return Arrow's file system for the store."""

    def content_type(self, path: str) -> tuple[str, str | None]:
        """Return the type and the encoding of an object's content."""


class LocalStore:
    """The local file system."""

    port = 0

    def __init__(self) -> None:
        from fsspec.implementations.local import LocalFileSystem

        self.filesystem = LocalFileSystem()

    def create_folder(self, folder: Path) -> str:
        (folder / "target").mkdir()
        return f"file://{folder}/target"

    def connection(self, *, port: int | None = None, secret: str | None = None) -> str | None:
        return None

    def arrow(self) -> Any:
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem()

    def content_type(self, path: str) -> tuple[str, str | None]:
        raise NotImplementedError("files have no type")


class S3Store:
    """
    An S3 server that checks signatures.

    :param port: Its port.
    """

    def __init__(self, port: int) -> None:
        import boto3
        import requests
        from s3fs import S3FileSystem

        self.port = port
        endpoint = f"http://{HOST}:{port}"
        iam = boto3.client("iam", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x", endpoint_url=endpoint)
        keys = []
        for user, action in ((ACCOUNT, "s3:*"), (WRITER, "s3:PutObject")):
            iam.create_user(UserName=user)
            statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=policy)
            key = iam.create_access_key(UserName=user)["AccessKey"]
            keys.append((key["AccessKeyId"], key["SecretAccessKey"]))
        (self._id, self._secret), self._writer = keys
        # From now on, it requires these credentials.
        requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
        self.filesystem = S3FileSystem(
            key=self._id, secret=self._secret, endpoint_url=endpoint, use_listings_cache=False
        )

    def create_folder(self, folder: Path) -> str:
        bucket = f"bucket-{next(_numbers)}"
        self.filesystem.mkdir(bucket)
        return f"s3://{bucket}"

    def connection(self, *, port: int | None = None, secret: str | None = None) -> str:
        extra = {
            "endpoint_url": f"http://{HOST}:{port or self.port}",
            "region_name": "us-east-1",
            # s3fs itself tries five times, with shorter delays.
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
        login = {"login": self._id, "password": secret or self._secret}
        return json.dumps({"conn_type": "aws", **login, "extra": extra})

    def connection_of_a_writer(self) -> str:
        """Return the connection of a user who may put objects, and do nothing else."""
        connection = json.loads(self.connection())
        connection["login"], connection["password"] = self._writer
        return json.dumps(connection)

    def arrow(self) -> Any:
        from pyarrow.fs import S3FileSystem

        endpoint = f"{HOST}:{self.port}"
        return S3FileSystem(access_key=self._id, secret_key=self._secret, endpoint_override=endpoint, scheme="http")

    def content_type(self, path: str) -> tuple[str, str | None]:
        bucket, _, key = path.removeprefix("s3://").partition("/")
        head = self.filesystem.call_s3("head_object", Bucket=bucket, Key=key)
        return head["ContentType"], head.get("ContentEncoding")


class GoogleStore:
    """
    An emulator of Google Cloud Storage, which checks no credentials.

    :param port: Its port.
    """

    def __init__(self, port: int) -> None:
        from gcsfs import GCSFileSystem

        self.port = port
        # Of its own, without the caches of what Airflow uses.
        self.filesystem = GCSFileSystem(
            project=ACCOUNT, token="anon", endpoint_url=f"http://{HOST}:{port}", use_listings_cache=False
        )

    def create_folder(self, folder: Path) -> str:
        bucket = f"bucket-{next(_numbers)}"
        self.filesystem.mkdir(bucket)
        return f"gs://{bucket}"

    def connection(self, *, port: int | None = None, secret: str | None = None) -> str:
        extra = {"is_anonymous": True, "project": ACCOUNT, "gcs.endpoint": f"http://{HOST}:{port or self.port}"}
        return json.dumps({"conn_type": "google_cloud_platform", "extra": extra})

    def arrow(self) -> Any:
        from pyarrow.fs import GcsFileSystem

        return GcsFileSystem(anonymous=True, endpoint_override=f"{HOST}:{self.port}", scheme="http")

    def content_type(self, path: str) -> tuple[str, str | None]:
        info = self.filesystem.info(path)
        return info["contentType"], info.get("contentEncoding")


class AzureStore:
    """
    Azure's emulator.

    :param port: Its port.
    :param secret: The key of its account.
    """

    def __init__(self, port: int, secret: str) -> None:
        from adlfs import AzureBlobFileSystem

        self.port, self._secret = port, secret
        self.filesystem = AzureBlobFileSystem(connection_string=self._connection_string(port, secret))

    def create_folder(self, folder: Path) -> str:
        container = f"container-{next(_numbers)}"
        self.filesystem.mkdir(container)
        return f"abfs://{container}"

    def connection(self, *, port: int | None = None, secret: str | None = None) -> str | None:
        text = self._connection_string(port or self.port, secret or self._secret)
        return json.dumps({"conn_type": "wasb", "extra": {"connection_string": text}})

    def arrow(self) -> Any:
        from pyarrow.fs import AzureFileSystem

        authority = f"{HOST}:{self.port}"
        return AzureFileSystem(
            account_name=ACCOUNT,
            account_key=self._secret,
            blob_storage_authority=authority,
            blob_storage_scheme="http",
            dfs_storage_authority=authority,
            dfs_storage_scheme="http",
        )

    def content_type(self, path: str) -> tuple[str, str | None]:
        settings = self.filesystem.info(path)["content_settings"]
        return settings["content_type"], settings["content_encoding"]

    def _connection_string(self, port: int, secret: str) -> str:
        endpoint = f"BlobEndpoint=http://{HOST}:{port}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={secret};{endpoint};"


def new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


@dataclass
class Target:
    """
    An empty folder or bucket for one test.

    :param store: Its store.
    :param url: Its URL.
    :param conn_id: The Airflow connection of the store; None if none is needed.
    """

    store: Store
    url: str
    conn_id: str | None

    def put(self, name: str, data: bytes) -> None:
        self.store.filesystem.pipe_file(f"{self.url}/{name}", data)

    def content_type(self, name: str) -> tuple[str, str | None]:
        """Return the type and the encoding of an object's content."""
        self.store.filesystem.invalidate_cache()
        return self.store.content_type(f"{self.url}/{name}")

    def objects(self) -> dict[str, bytes]:
        """Return all objects in it, by name."""
        filesystem = self.store.filesystem
        filesystem.invalidate_cache()
        folder = filesystem._strip_protocol(self.url)
        return {path.removeprefix(f"{folder}/"): filesystem.cat_file(path) for path in filesystem.find(folder)}
