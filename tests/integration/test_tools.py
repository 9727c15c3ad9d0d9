"""What the tools do that others of them rest on."""

import shutil
import subprocess
import sys
from pathlib import Path

FIRST_CASES = Path(__file__).parents[2] / "tools" / "first_cases.py"
CASES = """
import pytest
from hypothesis import given, settings, strategies

@pytest.mark.parametrize("case", [pytest.param(0, marks=pytest.mark.slow), 1, 2])
def test_case(case):
    assert case == 1

tried = []

@settings(max_examples=60)
@given(strategies.integers())
def test_property(number):
    tried.append(number)

def test_few_examples():
    assert 0 < len(tried) <= 5
"""


def test_the_first_case_that_is_not_deselected_and_few_examples_run(tmp_path: Path) -> None:
    shutil.copy(FIRST_CASES, tmp_path / "conftest.py")
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    command = (sys.executable, "-m", "pytest", "-q", "-m", "not slow", str(tmp_path))
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "3 passed, 2 deselected" in result.stdout, result.stdout + result.stderr
