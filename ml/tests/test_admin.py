"""The admin's pages of types and versions, for staff, for staff without the permission, and for outsiders."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ml.models import CaptchaType, ModelVersion, Promotion
from ml.recognition.artifacts import write_checksums
from ml.services import promote, register_version
from ml.tests.artifacts import write_reader
from ml.tests.conftest import Roots, better

VERSIONS = reverse("admin:ml_modelversion_changelist")
TYPES = reverse("admin:ml_captchatype_changelist")


def user_client(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(db: None) -> Any:
    return get_user_model().objects.create_superuser("boss", "boss@example.org", "a password of theirs")


@pytest.fixture
def staff(admin: Any) -> Client:
    return user_client(admin)


@pytest.fixture
def viewer(db: None) -> Client:
    """Staff who may look at versions and change none."""
    user = get_user_model().objects.create_user(
        "viewer", "viewer@example.org", "a password of theirs", is_staff=True
    )
    user.user_permissions.add(Permission.objects.get(codename="view_modelversion"))
    return user_client(user)


@pytest.fixture
def candidate(shipped: Roots) -> ModelVersion:
    return better(write_reader(shipped.trained, "dark", 1001, text="NEW"))


def page(name: str, version: ModelVersion) -> str:
    return reverse(f"admin:ml_modelversion_{name}", args=[version.pk])


def test_the_list_shows_state_accuracy_and_load_errors_in_red(staff: Client, candidate: ModelVersion) -> None:
    ModelVersion.objects.filter(slug="bright").update(load_error="bright/1 cannot be loaded: <damaged>")
    html = staff.get(VERSIONS).content.decode()
    assert "dark/1001" in html
    assert "99.0 % (96.4 % to 99.7 %, n = 200)" in html
    assert '<span class="load-error">bright/1 cannot be loaded: &lt;damaged&gt;</span>' in html
    assert "ml/admin.css" in html
    assert "style=" not in html.split("<main", 1)[-1]


@pytest.mark.parametrize("url", [VERSIONS, TYPES])
def test_lists_take_a_constant_number_of_queries(staff: Client, shipped: Roots, url: str) -> None:
    with CaptureQueriesContext(connection) as few:
        staff.get(url)
    for number in range(1001, 1009):
        register_version(folder=write_reader(shipped.trained, "dark", number))
    for letter in "abcdefgh":
        register_version(folder=write_reader(shipped.trained, f"type_{letter}"))
    with CaptureQueriesContext(connection) as many:
        staff.get(url)
    assert len(many) == len(few)


def test_a_version_is_read_only(staff: Client, candidate: ModelVersion) -> None:
    html = staff.get(page("change", candidate)).content.decode()
    assert "&quot;alphabet&quot;" in html
    assert page("report", candidate) in html
    assert page("promote", candidate) in html
    staff.post(page("change", candidate), {"state": "serving", "sha256": "0" * 64})
    before = candidate.sha256
    candidate.refresh_from_db()
    assert (candidate.state, candidate.sha256) == ("candidate", before)
    assert staff.get(reverse("admin:ml_modelversion_add")).status_code == 403
    assert staff.post(page("delete", candidate), {"post": "yes"}).status_code == 403


def test_promote_asks_for_a_reason_and_keeps_it(staff: Client, admin: Any, candidate: ModelVersion) -> None:
    assert "dark/1001 is candidate" in staff.get(page("promote", candidate)).content.decode()
    assert staff.post(page("promote", candidate), {"reason": " "}).status_code == 400
    candidate.refresh_from_db()
    assert candidate.state == ModelVersion.State.CANDIDATE

    answer = staff.post(page("promote", candidate), {"reason": "read 20 more"}, follow=True)
    assert "Promoted dark/1001: read 20 more" in answer.content.decode()
    candidate.refresh_from_db()
    assert (candidate.state, candidate.promoted_by) == (ModelVersion.State.SERVING, admin)
    entry = Promotion.objects.get(version=candidate)
    assert (entry.by, entry.reason) == (admin, "read 20 more")
    assert LogEntry.objects.filter(object_id=str(candidate.pk), user=admin).exists()


def test_looking_at_the_confirmation_changes_nothing(staff: Client, candidate: ModelVersion) -> None:
    staff.get(page("promote", candidate), {"reason": "a link that somebody sent"})
    candidate.refresh_from_db()
    assert candidate.state == ModelVersion.State.CANDIDATE


def test_that_callers_must_name_a_type_is_shown_and_needs_no_tick(staff: Client, shipped: Roots) -> None:
    third = register_version(folder=write_reader(shipped.trained, "third"))
    html = staff.get(page("promote", third)).content.decode()
    assert "no type model knows third" in html
    assert 'name="force"' not in html


def test_what_speaks_against_it_is_shown_and_needs_a_tick(staff: Client, shipped: Roots) -> None:
    third = register_version(folder=write_reader(shipped.trained, "third", metrics={}))
    html = staff.get(page("promote", third)).content.decode()
    assert "third/1 was never evaluated" in html
    assert 'name="force"' in html
    answer = staff.post(page("promote", third), {"reason": "try"})
    assert answer.status_code == 400
    assert "is not promoted" in answer.content.decode()
    staff.post(page("promote", third), {"reason": "by hint only", "force": "on"})
    third.refresh_from_db()
    assert third.state == ModelVersion.State.SERVING


def test_a_damaged_version_is_refused_on_the_page(staff: Client, candidate: ModelVersion) -> None:
    (candidate.path / "reader.onnx").write_bytes(b"damaged")
    answer = staff.post(page("promote", candidate), {"reason": "try"})
    assert answer.status_code == 400
    assert "does not load" in answer.content.decode()


def test_roll_back_returns_to_the_version_before(staff: Client, candidate: ModelVersion) -> None:
    promote(version=candidate, reason="new")
    staff.post(page("roll_back", candidate), {"reason": "it was worse"})
    assert ModelVersion.objects.get(slug="dark", state="serving").version == 1
    answer = staff.post(page("roll_back", candidate), {"reason": "further"})
    assert "nothing served as dark before" in answer.content.decode()


@pytest.mark.parametrize(
    ("action", "step"), [("promote_selected", "promote"), ("roll_back_selected", "roll_back")]
)
def test_actions_lead_to_the_confirmation_of_one(
    staff: Client, candidate: ModelVersion, action: str, step: str
) -> None:
    one = {"action": action, "_selected_action": [candidate.pk]}
    answer = staff.post(VERSIONS, one)
    assert answer.headers["Location"] == page(step, candidate)
    two = {"action": action, "_selected_action": list(ModelVersion.objects.values_list("pk", flat=True)[:2])}
    assert "Choose exactly one" in staff.post(VERSIONS, two, follow=True).content.decode()


def test_without_figures_promoting_needs_force_and_the_log_keeps_it(staff: Client, shipped: Roots) -> None:
    version = register_version(folder=write_reader(shipped.trained, "dark", 1002))
    html = staff.get(page("promote", version)).content.decode()
    assert "were not evaluated on one data set" in html
    assert staff.post(page("promote", version), {"reason": "try"}).status_code == 400
    assert staff.post(page("promote", version), {"force": "on", "reason": ""}).status_code == 400
    staff.post(page("promote", version), {"force": "on", "reason": "the old one fails"})
    entry = Promotion.objects.get(version=version)
    assert (entry.forced, entry.reason) == (True, "the old one fails")
    html = staff.get(page("change", version)).content.decode()
    assert "overruled: dark/1002 and dark/1" in html


def test_the_page_of_a_version_shows_its_figures(staff: Client, candidate: ModelVersion) -> None:
    html = staff.get(page("change", candidate)).content.decode()
    assert "91.00 % (91 of 100, 95 % interval 83.77 to 95.19), calibration error 0.0100" in html
    assert "no; no readings yet" in html
    assert "91.00 %" in staff.get(page("promote", candidate)).content.decode()


def test_a_shadow_begins_and_ends_by_an_action(staff: Client, candidate: ModelVersion) -> None:
    chosen = {"_selected_action": [candidate.pk]}
    begun = staff.post(VERSIONS, chosen | {"action": "start_shadow_selected"}, follow=True)
    assert "Reading along in shadow: dark/1001" in begun.content.decode()
    assert ModelVersion.objects.get(shadow_since__isnull=False) == candidate
    assert "since" in staff.get(page("change", candidate)).content.decode()
    ended = staff.post(VERSIONS, chosen | {"action": "stop_shadow_selected"}, follow=True)
    assert "Ended the shadow of dark/1001: no readings yet" in ended.content.decode()
    assert not ModelVersion.objects.filter(shadow_since__isnull=False).exists()
    serving = {"_selected_action": [ModelVersion.objects.get(slug="dark", version=1).pk]}
    refused = staff.post(VERSIONS, serving | {"action": "start_shadow_selected"}, follow=True)
    assert "dark/1 serves: what answers cannot read along" in refused.content.decode()


@pytest.mark.parametrize("action", ["start_shadow_selected", "stop_shadow_selected"])
def test_viewers_have_no_say_in_the_shadow(viewer: Client, candidate: ModelVersion, action: str) -> None:
    viewer.post(VERSIONS, {"action": action, "_selected_action": [candidate.pk]})
    candidate.refresh_from_db()
    assert candidate.shadow_since is None


@pytest.mark.parametrize("step", ["promote", "roll_back"])
def test_staff_without_the_permission_change_nothing(
    viewer: Client, candidate: ModelVersion, step: str
) -> None:
    assert viewer.get(VERSIONS).status_code == 200
    assert viewer.post(page(step, candidate), {"reason": "x"}).status_code == 403
    candidate.refresh_from_db()
    assert candidate.state == ModelVersion.State.CANDIDATE


@pytest.mark.parametrize("name", ["change", "promote", "roll_back", "report"])
def test_outsiders_are_sent_to_the_log_in(outsider: Any, candidate: ModelVersion, name: str) -> None:
    for client in (Client(), user_client(outsider)):
        answer = client.get(page(name, candidate))
        assert answer.status_code == 302
        assert "/login/" in answer.headers["Location"]


class TestReport:
    def test_it_is_shut_in(self, staff: Client, candidate: ModelVersion) -> None:
        answer = staff.get(page("report", candidate))
        assert b"curves" in answer.content
        policy = answer.headers["Content-Security-Policy"]
        assert "sandbox;" in policy
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_staff_without_the_permission_do_not_get_it(self, candidate: ModelVersion) -> None:
        nobody = get_user_model().objects.create_user("n", "n@example.org", "a password", is_staff=True)
        assert user_client(nobody).get(page("report", candidate)).status_code == 403

    def test_a_version_without_one_is_not_found(self, staff: Client, candidate: ModelVersion) -> None:
        (candidate.path / "report.html").unlink()
        write_checksums(candidate.path)
        assert staff.get(page("report", candidate)).status_code == 404
        assert page("report", candidate) not in staff.get(page("change", candidate)).content.decode()


class TestCaptchaTypes:
    def test_the_list_shows_who_sees_a_type_and_what_reads_it(
        self, staff: Client, private_reader: ModelVersion
    ) -> None:
        html = staff.get(TYPES).content.decode()
        assert "owner only" in html
        assert "everybody" in html
        assert "mine/1" in html

    def test_a_type_is_switched_off_not_deleted(self, staff: Client, shipped: Roots) -> None:
        dark = CaptchaType.objects.get(slug="dark")
        assert staff.post(reverse("admin:ml_captchatype_delete", args=[dark.pk])).status_code == 403
        fields = {"title": "Dark", "alphabet": "ABC", "example": "", "owner": ""}
        staff.post(reverse("admin:ml_captchatype_change", args=[dark.pk]), fields | {"slug": "renamed"})
        dark.refresh_from_db()
        assert (dark.slug, dark.title, dark.active) == ("dark", "Dark", False)

    def test_a_type_is_rolled_back_from_its_page(self, staff: Client, candidate: ModelVersion) -> None:
        dark = reverse("admin:ml_captchatype_change", args=[candidate.captcha_type_id])
        assert "Roll back to" not in staff.get(dark).content.decode()
        promote(version=candidate, reason="new")
        html = staff.get(dark).content.decode()
        assert f'<a href="{page("roll_back", candidate)}">Roll back to dark/1</a>' in html
        asked = staff.get(page("roll_back", candidate)).content.decode()
        assert "dark/1 serves again" in asked
        assert ModelVersion.objects.get(slug="dark", state="serving") == candidate
        staff.post(page("roll_back", candidate), {"reason": "worse"})
        entry = Promotion.objects.first()
        assert entry is not None
        assert (str(entry.version), entry.rolled_back, entry.reason) == ("dark/1", True, "worse")

    def test_who_may_change_types_alone_gets_no_such_button(self, candidate: ModelVersion) -> None:
        promote(version=candidate, reason="new")
        user = get_user_model().objects.create_user("t", "t@example.org", "a password", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="change_captchatype"))
        dark = reverse("admin:ml_captchatype_change", args=[candidate.captcha_type_id])
        html = user_client(user).get(dark).content.decode()
        assert "Roll back to" not in html

    def test_a_reader_that_does_not_load_shows_red(self, staff: Client, shipped: Roots) -> None:
        ModelVersion.objects.filter(slug="dark").update(load_error="dark/1 cannot be loaded")
        html = staff.get(TYPES).content.decode()
        assert '<span class="load-error">dark/1 cannot be loaded</span>' in html

    def test_a_reserved_name_is_refused_in_the_form(self, staff: Client, db: None) -> None:
        fields = {"slug": "general", "title": "x", "alphabet": "x", "active": "on"}
        answer = staff.post(reverse("admin:ml_captchatype_add"), fields)
        assert answer.status_code == 200
        assert not CaptchaType.objects.exists()


def test_an_address_that_names_no_type_leads_back_to_the_list(staff: Client) -> None:
    for nonsense in ("abc", "1/change/widgets.css", "99"):
        assert staff.get(f"{TYPES}{nonsense}/change/").status_code == 302
