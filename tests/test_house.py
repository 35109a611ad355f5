"""What holds for the whole package: names, start-up time in imports, the tree of errors."""

import subprocess
import sys

import pytest

import dpsynth
from dpsynth import errors

HEAVY = {
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "duckdb",
    "matplotlib",
    "opendp",
    "networkx",
    "pydantic",
    "cryptography",
}


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_by("import dpsynth") & HEAVY == set()


def test_help_loads_nothing_heavy() -> None:
    code = "from dpsynth.cli.app import dpsynth\ntry:\n    dpsynth(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(code) & (HEAVY | {"rich"}) == set()


@pytest.mark.parametrize("name", dpsynth.__all__)
def test_public_names_exist(name: str) -> None:
    assert getattr(dpsynth, name).__doc__


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="synthesize"):
        dpsynth.nothing  # noqa: B018


def test_exit_codes_are_those_of_the_design() -> None:
    found = {
        cls.__name__: cls.exit_code
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.DpsynthError)
    }
    assert found == {
        "DpsynthError": 70,
        "ConfigurationError": 2,
        "SchemaError": 2,
        "BudgetFormatError": 2,
        "SourceError": 3,
        "BudgetRefused": 10,
        "WaitingForApproval": 11,
        "VerificationError": 22,
        "Rejected": 12,
        "Withdrawn": 13,
        "StatusStale": 14,
        "SignatureInvalid": 20,
        "DigestMismatch": 21,
        "TotalsMismatch": 22,
        "UnknownEntry": 23,
        "LogInconsistent": 24,
        "KeyRefused": 25,
        "ThresholdNotMet": 26,
        "StoreError": 31,
        "StoreBusy": 30,
        "StoreDamaged": 31,
        "ReleaseConflict": 32,
        "Interrupted": 130,
    }


def test_nearest() -> None:
    assert errors.nearest("nulable", ["nullable", "min"]) == "; did you mean 'nullable'?"
    assert errors.nearest("zzz", ["nullable", "min"]) == ""
