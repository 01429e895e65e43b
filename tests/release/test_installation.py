"""The requirements of docs/installation.md, resolved with the constraints of each version of Airflow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_make import __version__
from tests.release.commands import PINS, ROOT, CommandFailedError, run
from tests.release.conftest import Distributions
from tests.release.environment import UV

pytestmark = pytest.mark.timeout(300)
PAGE = (ROOT / "docs" / "installation.md").read_text()
REQUIREMENTS, WITH_CONSTRAINTS = re.findall(r"```requirements\n(.*?)```", PAGE, re.DOTALL)
(REMOVED,) = re.findall(r"grep -vE '([^']+)'", PAGE)
# As in Airflow's constraints for 3.0 of May 2025.
TOO_OLD = {
    "apache-airflow-providers-common-compat": "1.7.0",
    "apache-airflow-providers-http": "5.3.0",
    "msgspec": "0.19.0",
    "pyarrow": "16.1.0",
}


def resolve(distributions: Distributions, requirements: str, constraints: str, folder: Path) -> dict[str, str]:
    """Return the versions that would be installed."""
    lines = [line.strip() for line in requirements.splitlines() if not line.strip().startswith("--constraint")]
    (folder / "requirements.txt").write_text("\n".join(lines))
    (folder / "constraints.txt").write_text(constraints)
    resolved = run(
        *(UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", folder / "requirements.txt"),
        *("--constraint", folder / "constraints.txt", "--find-links", distributions.wheel.parent),
    )
    return dict(line.split("==") for line in resolved.split())


@pytest.mark.parametrize("pins", sorted(PINS.glob("airflow-*.txt")), ids=lambda path: path.stem)
def test_requirements_resolve_with_each_version_of_airflow(
    pins: Path, distributions: Distributions, tmp_path: Path
) -> None:
    # As in the image and on the platforms, which keep their version of Airflow.
    (airflow,) = re.findall(r"^apache-airflow==\S+$", pins.read_text(), re.MULTILINE)
    versions = resolve(distributions, f"{REQUIREMENTS}\n{airflow}", pins.read_text(), tmp_path)
    assert versions["airflow-provider-make"] == __version__
    assert f"apache-airflow=={versions['apache-airflow']}" == airflow
    assert "pyarrow" in versions


def test_constraints_that_are_too_old_work_without_the_removed_lines(
    distributions: Distributions, tmp_path: Path
) -> None:
    lines = (PINS / "airflow-3.0.txt").read_text().splitlines()
    constraints = [f"{name}=={TOO_OLD.get(name, version)}" for name, version in (line.split("==") for line in lines)]
    with pytest.raises(CommandFailedError, match="unsatisfiable"):
        resolve(distributions, WITH_CONSTRAINTS, "\n".join(constraints), tmp_path)
    kept = [line for line in constraints if not re.match(REMOVED, line)]
    assert len(constraints) - len(kept) == len(TOO_OLD)
    versions = resolve(distributions, WITH_CONSTRAINTS, "\n".join(kept), tmp_path)
    assert versions["apache-airflow"].startswith("3.0.")
    assert versions["airflow-provider-make"] == __version__
