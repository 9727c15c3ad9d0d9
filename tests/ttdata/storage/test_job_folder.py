"""In a Ray job, relative outputs are refused before anything is done."""

from pathlib import Path

import pytest

from ttdata.errors import InputError
from ttdata.storage.job_folder import check_lasting
from ttdata.storage.outputs import check_output_file, check_output_folder

MESSAGE = "expected an absolute path; the working folder of a Ray job is a copy"


def test_relative_paths_in_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_lasting("data")
    check_output_folder(Path("out"), "a dataset", [])
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(InputError, match=f"^--data data: {MESSAGE}"):
        check_lasting("data", "--data")
    with pytest.raises(InputError, match=f"^out: {MESSAGE}"):
        check_output_folder(Path("out"), "a dataset", [])
    with pytest.raises(InputError, match=f"^../out.csv: {MESSAGE}"):
        check_output_file(Path("../out.csv"), [])
    check_lasting(tmp_path / "data", "--data")
    check_output_folder(tmp_path / "out", "a dataset", [])
    assert list(tmp_path.iterdir()) == []
