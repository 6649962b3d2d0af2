"""docs/settings.md tells every setting, and nothing that is none."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("captcha_site/settings.py", "gunicorn.conf.py")


def read_settings() -> dict[str, tuple[str, object]]:
    """Name to kind and default of each setting that the source reads; None where it is no plain value."""
    found: dict[str, tuple[str, object]] = {}
    for source in SOURCES:
        for node in ast.walk(ast.parse((ROOT / source).read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            of, name = ast.unparse(node.func.value), node.args[0]
            if of not in ("env", "os.environ") or not isinstance(name, ast.Constant):
                continue
            kind = node.func.attr if of == "env" else "environ"
            found.setdefault(str(name.value), (kind, plain_value(node.args[1:2])))
    return found


def plain_value(given: list[ast.expr]) -> object:
    """A number, also as a product, or a text."""
    if not given:
        return None
    parts = re.fullmatch(r"[\d_]+( \* [\d_]+)*", ast.unparse(given[0]))
    if parts:
        product = 1
        for factor in parts[0].split(" * "):
            product *= int(factor)
        return product
    return given[0].value if isinstance(given[0], ast.Constant) else None


def told_settings() -> dict[str, tuple[str, str]]:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\w+) \| (.+?) \| .+ \|$", page, re.MULTILINE)
    assert len({name for name, _, _ in rows}) == len(rows)
    return {name: (kind, default) for name, kind, default in rows}


def test_every_setting_is_told_and_nothing_else() -> None:
    assert set(told_settings()) == set(read_settings())


def test_kinds_and_plain_defaults_are_those_of_the_source() -> None:
    told = told_settings()
    for name, (kind, default) in read_settings().items():
        assert told[name][0] == kind, name
        if default is not None and not isinstance(default, bool):
            assert told[name][1] == f"`{default}`", name
