"""The look for known vulnerabilities: none known is not the same as none asked."""

import importlib.util
import sys
from types import ModuleType

import pytest
from django.conf import settings

FINE = {"name": "django", "version": "5.2.19", "vulns": []}
BAD = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}, {"id": "PYSEC-2", "fix_versions": []}],
}
UNASKED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", settings.BASE_DIR / "bin" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_known_vulnerability_fails_and_names_the_version_that_mends_it(audit: ModuleType) -> None:
    for strict in (False, True):
        lines, status = audit.judged({"dependencies": [FINE, BAD, UNASKED]}, strict=strict)
        assert status == 1
        assert lines[:2] == ["pillow 1.0: PYSEC-1, mended in 1.1, 2.0", "pillow 1.0: PYSEC-2, mended in none"]


def test_packages_that_were_not_asked_about_are_told_and_fail_where_it_is_strict(audit: ModuleType) -> None:
    report = {"dependencies": [FINE, UNASKED]}
    lines, status = audit.judged(report, strict=False)
    assert status == 0
    assert lines == [
        "Audit: 1 packages asked about, 0 known vulnerabilities.",
        "No advisories could be had for 1 packages: numpy",
    ]
    assert audit.judged(report, strict=True) == (lines, 2)
    assert audit.judged({"dependencies": [FINE]}, strict=True)[1] == 0


def test_a_pip_audit_that_tells_nothing_is_no_pass_under_strict(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/folder/python")
    monkeypatch.setattr(sys, "argv", ["audit.py", str(tmp_path)])
    assert audit.main() == 0
    monkeypatch.setattr(sys, "argv", ["audit.py", str(tmp_path), "--strict"])
    assert audit.main() == 2
    assert capsys.readouterr().err.count("could not be asked") == 2
