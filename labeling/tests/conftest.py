"""A type with images that the tests draw, people who label it, and one who must see nothing of it."""

import io
import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.files.storage import FileSystemStorage
from django.test import Client
from PIL import Image, ImageDraw

from labeling import queue, services
from labeling.importing import add_image
from labeling.models import Membership, Mode, Sample
from labeling.queue import Item
from ml import registry
from ml.models import CaptchaType

PASSWORD = "a password of theirs"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_numbers = itertools.count()


def drawn(text: str = "", file_format: str = "PNG") -> bytes:
    """A picture of the text; no two have the same bytes."""
    number = next(_numbers)
    image = Image.new("RGB", (120, 40), (255, 255, 250 - number % 200))
    draw = ImageDraw.Draw(image)
    draw.text((6, 4), text or f"N{number}", fill=(20, 20, 60), font_size=26)
    draw.point([(number % 120, number // 120 % 40)], fill=(200, 0, 0))
    stream = io.BytesIO()
    image.save(stream, file_format)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Samples, data sets and models of the test alone."""
    # A field asks for its storage once, when the models are loaded.
    storage = FileSystemStorage(location=tmp_path / "samples")
    monkeypatch.setattr(Sample._meta.get_field("image"), "storage", storage)
    settings.DATASETS_ROOT = tmp_path / "datasets"
    settings.SHIPPED_ARTIFACTS, settings.ARTIFACTS_ROOT = tmp_path / "shipped", tmp_path / "trained"
    cache.clear()
    registry.reset()
    yield
    registry.reset()


@pytest.fixture
def captcha_type(db: None) -> CaptchaType:
    return CaptchaType.objects.create(
        slug="shop", title="Shop", alphabet=ALPHABET, min_length=2, max_length=6
    )


MakePerson = Callable[..., Any]


@pytest.fixture
def make_person(captcha_type: CaptchaType) -> MakePerson:
    def make(name: str, *, member: bool = True, staff: bool = False) -> Any:
        person = get_user_model().objects.create_user(name, f"{name}@example.org", PASSWORD)
        if staff:
            get_user_model().objects.filter(pk=person.pk).update(is_staff=True)
            person.refresh_from_db()
        elif member:
            Membership.objects.create(captcha_type=captcha_type, person=person)
        return person

    return make


@pytest.fixture
def ada(make_person: MakePerson) -> Any:
    return make_person("ada")


@pytest.fixture
def ben(make_person: MakePerson) -> Any:
    return make_person("ben")


@pytest.fixture
def cleo(make_person: MakePerson) -> Any:
    return make_person("cleo")


@pytest.fixture
def boss(make_person: MakePerson) -> Any:
    return make_person("boss", staff=True)


@pytest.fixture
def outsider(make_person: MakePerson) -> Any:
    """Someone with an account who labels nothing."""
    return make_person("eve", member=False)


@pytest.fixture
def make_sample(captcha_type: CaptchaType) -> Callable[..., Sample]:
    def make(text: str = "", split: str = "train", **fields: Any) -> Sample:
        sample, _ = add_image(
            captcha_type=captcha_type, data=drawn(text), name=f"{text}.png", source="test", split=split
        )
        if fields.get("status") == Sample.Status.AGREED:
            fields["text"] = text
        if fields:
            Sample.objects.filter(pk=sample.pk).update(**fields)
            sample.refresh_from_db()
        return sample

    return make


class Page:
    """One open page of a person, as the services see it."""

    def __init__(self, captcha_type: CaptchaType, person: Any, mode: str = Mode.TYPE) -> None:
        self.captcha_type, self.person, self.mode = captcha_type, person, mode
        self.session = uuid.uuid4()

    def claim(self, count: int = 10, **more: Any) -> list[Item]:
        return queue.claim(
            captcha_type=self.captcha_type,
            person=self.person,
            session=self.session,
            mode=self.mode,
            count=count,
            **more,
        )

    def save(
        self, item: Item, text: str, kind: str = "text", save_id: uuid.UUID | None = None
    ) -> services.Outcome:
        self.last = save_id or uuid.uuid4()
        return services.save(
            person=self.person,
            captcha_type=self.captcha_type,
            session=self.session,
            save_id=self.last,
            assignment_id=uuid.UUID(item.id),
            kind=kind,
            text=text if kind == "text" else "",
            seconds=1.5,
        )

    def undo(self, item: Item, save_id: uuid.UUID | None = None) -> services.Outcome:
        return services.undo(
            person=self.person,
            captcha_type=self.captcha_type,
            session=self.session,
            save_id=save_id or self.last,
            assignment_id=uuid.UUID(item.id),
        )

    def read(self, text: str) -> Sample:
        """Claim one image, say what it reads, and give its sample."""
        item = self.claim(1)[0]
        assert self.save(item, text).state == "saved"
        return sample_of(item)


def sample_of(item: Item) -> Sample:
    return Sample.objects.get(assignments=uuid.UUID(item.id))


@pytest.fixture
def page(captcha_type: CaptchaType) -> Callable[..., Page]:
    def open_page(person: Any, mode: str = Mode.TYPE) -> Page:
        return Page(captcha_type, person, mode)

    return open_page


def browser_of(person: Any) -> Client:
    client = Client()
    client.force_login(person, backend="accounts.backends.AccountBackend")
    return client


@pytest.fixture
def page_of(captcha_type: CaptchaType) -> Callable[..., Page]:
    """The page of a person as the services see it, for tests whose `page` is a browser's."""
    return lambda person, mode=Mode.TYPE: Page(captcha_type, person, mode)
