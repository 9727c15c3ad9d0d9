"""What the tools do that others of them rest on."""

import shutil
import subprocess
import sys
from pathlib import Path

FIRST_CASES = Path(__file__).parents[2] / "tools" / "first_cases.py"
CASES = """
import pytest

@pytest.mark.parametrize("case", [pytest.param(0, marks=pytest.mark.slow), 1, 2])
def test_case(case):
    assert case == 1
"""


def test_of_each_test_the_first_case_that_is_not_deselected_runs(tmp_path: Path) -> None:
    shutil.copy(FIRST_CASES, tmp_path / "conftest.py")
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    command = (sys.executable, "-m", "pytest", "-q", "-m", "not slow", str(tmp_path))
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 passed, 2 deselected" in result.stdout, result.stdout + result.stderr
