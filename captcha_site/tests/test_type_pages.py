"""The pages of types and models: what everybody sees, what an owner sees, what staff may do."""

import pytest
from django.test import Client

from accounts.models import User
from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.services import install_shipped_models


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


@pytest.mark.django_db
def test_without_models_the_page_says_what_to_do() -> None:
    assert "install_models" in browser_of(None).get("/types/").content.decode()
