from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.storage import worker
from tests.storage.stores import Process, Target

FEW, MANY = 10_000, 500_000
MIB = 1 << 20
LIMIT = 60 * MIB
UPLOAD = 100 * MIB


@pytest.fixture(scope="module")
def connections() -> Iterator[dict[int, str]]:
    """Return connections to sandboxes in separate processes, by their number of scenarios."""
    command = [sys.executable, "-m", "airflow_provider_make.sandbox", "--quiet", "--port", "0", "--scenarios"]
    with ExitStack() as running:
        yield {
            size: running.enter_context(Process([*command, str(size)], "MAKE_DEFAULT='(.*)'")).found
            for size in (FEW, MANY)
        }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("store", "suffix"), [("s3", "jsonl"), ("local", "csv.gz")], indirect=["store"])
def test_memory_does_not_depend_on_the_number_of_rows(
    suffix: str,
    target: Target,
    connections: dict[int, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peaks = {}
    for size, connection in connections.items():
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", connection)
        summary = worker.measure(output_path=f"{target.url}/rows.{suffix}", storage_conn_id=target.conn_id)
        assert summary["row_count"] == size
        peaks[size] = summary["peak_memory"]
    growth = peaks[MANY] - peaks[FEW]
    few, many, more = (f"{number / MIB:.0f} MiB" for number in (peaks[FEW], peaks[MANY], growth))
    scheme = target.url.partition(":")[0]
    with capsys.disabled():
        sys.stdout.write(f"\n{scheme} {suffix}: {few} with {FEW:,} rows, {many} with {MANY:,} rows: {more} more\n")
    assert growth < LIMIT


@pytest.mark.parametrize("store", ["google", "azure"], indirect=True)
def test_memory_of_an_upload_does_not_depend_on_its_size(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    filesystem, path = target.store.filesystem, f"{target.url}/zeros"
    small, large = (worker.measure_upload(size, filesystem, path) for size in (0, UPLOAD))
    scheme = target.url.partition(":")[0]
    with capsys.disabled():
        sys.stdout.write(f"\n{scheme}: {(large - small) / MIB:.0f} MiB more for an upload of {UPLOAD // MIB} MiB\n")
    assert filesystem.info(path)["size"] == UPLOAD
    assert large - small < LIMIT
