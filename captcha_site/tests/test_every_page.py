"""Every page, found by the list of addresses: no barrier in light and dark, on a desk and on a phone."""

import re
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts import api_keys
from accounts.models import User
from captcha_site.tests.browsing import AXE, TAGS, VIOLATIONS, MakeVisitor, Visitor
from crawl.models import CaptchaSource
from jobs.models import JobRun
from ml.models import CaptchaType

pytestmark = pytest.mark.django_db(transaction=True)

NO_PAGES = re.compile("(api/|health_check|readyz|metrics|favicon|accounts/logout|admin/logout|admin/jsi18n)")
"""For programs, or what ends the visit; the API's page draws itself and has a test of its own."""
WCAG = [tag for tag in TAGS if tag != "best-practice"]
"""Of the admin's pages Django writes the markup."""
OF_DJANGO = 'aria-prohibited-attr: <span class="help-tooltip search-label-icon"'
"""What Django's own script puts beside the lists of groups and permissions."""
COLOURS_SETTLED = "Promise.all(document.getAnimations().map(one => one.finished)).then(() => null)"
DEPEND_ON_LOOKS = ["scrollable-region-focusable", "color-contrast", "link-in-text-block", "target-size"]
"""Rules that another scheme or width can break; of the first, Django's narrow tables are let off."""
ONE_FOR_ALL = re.compile(r"admin/(?!accounts/user/)\w+/\w+/(<path:object_id>/(history|delete)|add)/")
"""Pages that Django makes alike for every model: those of users stand for them."""
EXAMPLES = {
    "admin/r/": None,  # leads elsewhere
    "admin/ml/modelversion/<int:pk>/report/": None,  # a file of a training, shut in
    "accounts/keys/": None,  # buttons
    "accounts/password/": {"uidb64": "MQ", "token": "used-up"},
    "accounts/email/confirm/": {"link": "used-up"},
    "accounts/sessions/": None,  # buttons
    "accounts/types/": {"slug": "u_gate"},
    "types/": {"slug": "captcha_type_a"},
    "labeling/images/": None,  # images
    "labeling/<slug:slug>/review/<int:pk>": None,  # buttons and images
    "labeling/<slug:slug>/export": None,  # files
    "labeling/": {"slug": "captcha_type_a"},
    "jobs/": {"pk": "JobRun"},
    "playground/": None,  # buttons
    "admin/crawl/captchasource/": {"pk": "CaptchaSource"},
    "admin/ml/modelversion/": {"pk": "ModelVersion"},
}
"""What stands in the place of an address's variables, by how the address begins; None: no pages below it."""


def routes(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one, route)
        elif isinstance(one, URLPattern):
            yield route


def address_of(route: str) -> str | None:
    """A route with examples in the place of its variables; None where there is no page to show."""
    if "<" not in route:
        return "/" + route
    model = re.match(r"admin/(\w+)/(\w+)/<path:object_id>/(?=\w)|admin/accounts/(user)/<id>", route)
    if model:
        found = apps.get_model(model[1] or "accounts", model[2] or model[3]).objects.first()
        return None if found is None else "/" + re.sub(r"<[^>]+>", str(found.pk), route)
    if re.match(r"admin/\w+/\w+/<path:object_id>/$", route):
        return None  # leads to …/change/
    example = next((known for start, known in EXAMPLES.items() if route.startswith(start)), {})
    if example is None:
        return None

    def filled(variable: re.Match[str]) -> str:
        value = example.get(variable[1])
        assert value is not None, f"Give an example of {variable[0]} in {route}: EXAMPLES"
        if value in ("JobRun", "CaptchaSource", "ModelVersion"):
            model = next(one for one in apps.get_models() if one.__name__ == value)
            value = model._default_manager.order_by("-pk").values_list("pk", flat=True)[0]
        return str(value)

    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", filled, route)


def pages(person: User | None) -> list[str]:
    """The addresses that answer this person with a page."""
    client = Client(headers={"Accept": "text/html"})
    if person is not None:
        client.force_login(person, backend="accounts.backends.AccountBackend")
    found = []
    for route in dict.fromkeys(routes(get_resolver())):
        if "(?P" in route or re.match(r"\^", route) or NO_PAGES.match(route) or ONE_FOR_ALL.match(route):
            continue
        address = address_of(route)
        if address is None:
            continue
        answer = client.get(address)
        assert answer.status_code < 500, address
        if answer.status_code in (200, 400) and answer["Content-Type"].startswith("text/html"):
            found.append(address)
    return [*found, "/types/general/", "/nowhere"]


@pytest.fixture
def busy(visit: MakeVisitor, ada: User) -> User:
    """One who may do everything, with a little of everything."""
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    api_keys.create(user=ada, name="nightly", scopes=["read"], allowed_networks=[], daily_limit=5)
    gate = CaptchaType.objects.create(slug="u_gate", title="Gate", owner=ada)
    CaptchaSource.objects.create(
        slug="gate",
        captcha_type=gate,
        start_url="https://captcha.example.org/",
        authorised_by="Ada",
        authorisation="our own site",
        authorised_until=timezone.now().date(),
    )
    JobRun.objects.create(kind="prune", state="succeeded", started_by=ada, finished=timezone.now())
    return User.objects.get(pk=ada.pk)


def barriers(page: Page, address: str) -> list[str]:
    """What axe finds in light on a desk and in dark on a phone, and what is too wide for that."""
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1200, "height": 800})
    page.evaluate(COLOURS_SETTLED)
    page.evaluate(AXE)
    tags = WCAG if re.match(r"/admin/\w+/", address) else TAGS
    found = [f"{address} {one}" for one in page.evaluate(VIOLATIONS, tags)]
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 800})
    page.evaluate(COLOURS_SETTLED)
    rules = DEPEND_ON_LOOKS if tags is TAGS else DEPEND_ON_LOOKS[1:]
    found += [f"{address} (dark, narrow) {one}" for one in page.evaluate(VIOLATIONS, rules)]
    too_wide = page.evaluate("document.documentElement.scrollWidth") > 360
    if too_wide and not re.match(r"/admin/\w+/", address):  # Django's tables scroll with their page
        found.append(f"{address} is wider than 360 pixels")
    return [one for one in found if OF_DJANGO not in one]


def complaints(visitor: Visitor, address: str) -> list[str]:
    """What the console said of a page, but for the browser's own note of a 404."""
    said, visitor.complaints = visitor.complaints, []
    return [f"{address} {one}" for one in said if "404 (Not Found)" not in one]


def test_no_page_has_a_barrier(visit: MakeVisitor, busy: User) -> None:
    visitor = visit()
    page = visitor.page
    found: list[str] = []
    seen: set[str] = set()
    for person in (None, busy):
        if person is not None:
            visitor.log_in("ada")
        for address in pages(person):
            if address in seen:
                continue
            seen.add(address)
            page.goto(address)
            if address in ("/", "/playground"):
                page.get_by_role("button", name="type B").click()
                expect(page.locator(".answer")).to_be_visible()
            found += barriers(page, address)
            found += complaints(visitor, address)
    assert found == []
    assert len(seen) > 60
    assert {"/", "/playground", "/types/captcha_type_a/compare/", "/admin/", "/accounts/two-factor/"} <= seen
