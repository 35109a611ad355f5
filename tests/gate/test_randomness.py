"""Where randomness, printing and pickles may live, read from the syntax trees of the package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dpsynth"
FILES = sorted(PACKAGE.rglob("*.py"))

SECRET = {"secrets", "os.urandom", "os.getrandom", "random.SystemRandom", "uuid", "opendp"}
PUBLIC = {"numpy.random", "random"}
NEVER = {"pickle", "joblib", "shelve", "marshal", "dill", "cloudpickle", "scipy.stats", "opendp.prelude"}
MAX_LINES = 400
VERIFIER = {"verifier", "evidence", "trust", "roots"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def uses(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names that a module imports or reaches through an imported one."""
    tree = ast.parse(path.read_text())
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts: list[str] = []
            step: ast.expr = node
            while isinstance(step, ast.Attribute):
                parts.append(step.attr)
                step = step.value
            if isinstance(step, ast.Name) and step.id in names:
                yield ".".join([names[step.id], *reversed(parts)]), node.lineno


def reaches(name: str, roots: set[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def found(path: Path, roots: set[str]) -> list[str]:
    return [f"{path.relative_to(PACKAGE)}:{line} {name}" for name, line in uses(path) if reaches(name, roots)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestModule:
    def test_secret_randomness_lives_in_noise_and_ledger(self, path: Path) -> None:
        if room(path) not in {"noise", "ledger"}:
            assert found(path, SECRET) == []

    def test_public_randomness_lives_in_sampling_and_people(self, path: Path) -> None:
        if room(path) not in {"sampling", "people"}:
            assert found(path, PUBLIC) == []

    def test_no_pickle_and_no_slow_import(self, path: Path) -> None:
        assert found(path, NEVER) == []

    def test_print_only_in_the_command_line(self, path: Path) -> None:
        if room(path) in {"cli", "verifier"}:
            return
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]

    def test_length(self, path: Path) -> None:
        limit = 600 if room(path) in VERIFIER else MAX_LINES
        assert len(path.read_text().splitlines()) < limit

    def test_no_configuration_by_kwargs(self, path: Path) -> None:
        functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.Lambda)]
        bags = [f.args.kwarg for f in functions if f.args.kwarg]
        typed = [b for b in bags if b.annotation is not None and ast.unparse(b.annotation).endswith("P.kwargs")]
        assert len(bags) == len(typed)


def test_the_noise_cannot_be_seeded() -> None:
    words = {"seed", "random_state", "rng"}
    for path in FILES:
        if room(path) not in {"noise", "curator", "accountant"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg):
                assert node.arg not in words, f"{path}:{node.lineno}"


def test_the_search_sees_what_it_should(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(
        "import numpy as np\nimport os\nfrom numpy.random import Philox\n"
        "x = np.random.default_rng()\ny = os.urandom(4)\n"
    )
    names = {name for name, _ in uses(sample)}
    assert any(reaches(name, PUBLIC) for name in names)
    assert any(reaches(name, SECRET) for name in names)
    assert "numpy.random.default_rng" in names
