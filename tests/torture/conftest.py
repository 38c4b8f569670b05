"""Makes the file factory importable as `torture_factory`, and gives each case to tests."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "torture_factory", Path(__file__).with_name("factory.py")
)
factory = importlib.util.module_from_spec(_SPEC)
sys.modules["torture_factory"] = factory
_SPEC.loader.exec_module(factory)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "torture_case" in metafunc.fixturenames:
        cases = factory.CASES.values()
        metafunc.parametrize("torture_case", cases, ids=[case.name for case in cases])
