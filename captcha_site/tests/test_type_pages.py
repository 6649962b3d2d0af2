"""The pages of types and models: what everybody sees, what an owner sees, what staff may do."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.services import install_shipped_models
from ml.tests.test_kept_curves import keep


@pytest.fixture
def _shipped(db: None) -> None:
    registry.reset()
    install_shipped_models()


def browser_of(user: User | None) -> Client:
    client = Client(headers={"Accept": "text/html"})
    if user is not None:
        client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


@pytest.mark.usefixtures("_shipped")
def test_figures_are_those_of_the_models_that_serve() -> None:
    page = browser_of(None).get("/types/").content.decode()
    for version in ModelVersion.objects.filter(state="serving"):
        assert str(version) in page
    held_out = ModelVersion.objects.get(slug="captcha_type_a", state="serving").metrics["held_out"]
    assert f"n = {held_out['n']}" in page
    assert "n = 0" not in page
    assert f"n = {held_out['n']}" in browser_of(None).get("/").content.decode()


@pytest.mark.usefixtures("_shipped")
@pytest.mark.parametrize("slug", ["captcha_type_a", "captcha_type_b", "general", "types"])
def test_every_model_has_a_page(slug: str) -> None:
    answer = browser_of(None).get(f"/types/{slug}/")
    assert answer.status_code == 200
    assert "romote" not in answer.content.decode()


@pytest.mark.django_db
def test_a_private_type_is_there_for_its_owner_alone() -> None:
    owner, outsider = (User.objects.create_user(name, f"{name}@example.org") for name in ("ada", "eve"))
    CaptchaType.objects.create(slug="shop", title="Shop of Ada", alphabet="AB", owner=owner)
    assert "No reader was trained" in browser_of(owner).get("/types/shop/").content.decode()
    for somebody in (outsider, None):
        assert browser_of(somebody).get("/types/shop/").status_code == 404
        assert "Shop of Ada" not in browser_of(somebody).get("/types/").content.decode()


@pytest.mark.usefixtures("_shipped")
def test_staff_find_the_way_to_another_version() -> None:
    admin = User.objects.create_superuser("root", "root@example.org", "x")
    serving = ModelVersion.objects.get(slug="general", state="serving")
    older = ModelVersion.objects.create(
        kind="reader", slug="general", version=1, origin="trained", folder="general/1", sha256="0" * 64
    )
    page = browser_of(admin).get("/types/general/").content.decode()
    assert f"/admin/ml/modelversion/{older.pk}/promote/" in page
    assert f"/admin/ml/modelversion/{serving.pk}/roll_back/" not in page  # nothing served before it


@pytest.mark.usefixtures("_shipped")
def test_confusions_are_drawn_and_told_and_their_absence_too() -> None:
    version = ModelVersion.objects.get(slug="general", state="serving")
    pairs = version.metrics["drawn"]["confusions"]
    answer = browser_of(None).get("/types/general/")
    matrix, page = answer.context["confusions"], answer.content.decode()
    assert [cell.count for cell in matrix.cells] == [pair["count"] for pair in pairs[: len(matrix.cells)]]
    assert matrix.more == len(pairs) - len(matrix.cells)
    assert page.count("<rect") == len(matrix.cells)
    assert len({(cell.x, cell.y) for cell in matrix.cells}) == len(matrix.cells)
    version.metrics["drawn"]["confusions"] = []
    version.save()
    assert "took no character for another" in browser_of(None).get("/types/general/").content.decode()


@pytest.mark.usefixtures("_shipped")
def test_a_learning_curve_is_shown_once_it_was_measured(settings: Any, tmp_path: Path) -> None:
    settings.CURVES_ROOT = tmp_path
    admin = User.objects.create_superuser("root", "root@example.org", "x")
    assert "manage.py learning_curve general" in browser_of(admin).get("/types/general/").content.decode()
    assert "manage.py" not in browser_of(None).get("/types/general/").content.decode()
    keep(tmp_path, "general", (25, 60), (100, 90))
    answer = browser_of(None).get("/types/general/")
    low, high = answer.context["curve_chart"].spots
    assert low.x < high.x
    assert high.high_y < high.y < high.low_y < low.high_y  # upwards is better
    assert "90.0 % (82.5 % to 94.4 %, n = 100)" in answer.content.decode()


@pytest.mark.django_db
def test_without_models_the_page_says_what_to_do() -> None:
    assert "install_models" in browser_of(None).get("/types/").content.decode()
