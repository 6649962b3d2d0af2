"""Opening a type, what it may hold, and labelling it alone."""

import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import User
from labeling import queue, selectors
from labeling import services as labelling
from labeling.models import Membership, Mode, Sample
from labeling.tests.conftest import drawn
from ml.models import CaptchaType
from own_types import services
from own_types.errors import NameTaken, TooManyTypes
from own_types.selectors import labels_of
from own_types.tests.conftest import TEXTS, bring, browser_of, opened

pytestmark = pytest.mark.django_db

ADDRESS = "/accounts/types/"
FORM = {"title": "The gate", "name": "gate", "accept": "on"}


class TestOpening:
    def test_what_is_told_of_it_is_kept(self, ada: User) -> None:
        rules = {"alphabet": "AB BC", "min_length": "2", "max_length": "5", "case_sensitive": "on"}
        browser_of(ada).post(ADDRESS, FORM | rules)
        made = CaptchaType.objects.get()
        assert (made.alphabet, made.min_length, made.max_length, made.case_sensitive) == ("ABC", 2, 5, True)
        assert (made.owner, made.title, made.slug) == (ada, "The gate", f"u{ada.pk}_gate")

    @pytest.mark.parametrize(
        ("wrong", "field", "said"),
        [
            ({"title": ""}, "title", "required"),
            ({"name": "The Gate"}, "name", "Only a-z"),
            ({"name": "../x"}, "name", "Only a-z"),
            ({"name": "x" * 41}, "name", "at most 40"),
            ({"min_length": "0"}, "min_length", "greater than or equal to 1"),
            ({"min_length": "6", "max_length": "5"}, "max_length", "shorter than the shortest, 6"),
            ({"alphabet": "AB\u202e"}, "alphabet", "U+202E cannot be printed"),
            ({"accept": ""}, "accept", "confirm that"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field(
        self, ada: User, wrong: dict[str, str], field: str, said: str
    ) -> None:
        answer = browser_of(ada).post(ADDRESS, FORM | wrong)
        assert answer.status_code == 400
        assert said in str(answer.context["form"].errors[field])
        assert not CaptchaType.objects.exists()

    def test_the_price_of_a_training_is_said_before_anything_is_labelled(
        self, ada: User, settings: Any
    ) -> None:
        settings.TRAINING_PRICE = 37
        ada.credit_account.refresh_from_db()
        balance = ada.credit_account.balance
        said = browser_of(ada).get(ADDRESS).content.decode()
        assert "Each training costs 37 credits" in said
        assert f"You have {balance} credit" in said
        page = browser_of(ada).post(ADDRESS, FORM, follow=True).content.decode()
        assert f"A training will cost 37 credits of your {balance}" in page

    def test_two_customers_may_choose_one_name_and_learn_nothing(self, ada: User, eve: User) -> None:
        for user in (ada, eve):
            assert browser_of(user).post(ADDRESS, FORM).status_code == 302
        assert CaptchaType.objects.count() == 2
        answer = browser_of(ada).post(ADDRESS, FORM)
        assert "You have a type of this name" in str(answer.context["form"].errors["name"])

    def test_nobody_opens_a_type_in_anothers_prefix(self, ada: User, eve: User) -> None:
        browser_of(eve).post(ADDRESS, FORM | {"name": f"u{ada.pk}_gate"})
        assert CaptchaType.objects.get().slug == f"u{eve.pk}_u{ada.pk}_gate"

    def test_there_are_so_many_and_no_more(self, ada: User, settings: Any) -> None:
        settings.PRIVATE_TYPES_PER_USER = 1
        opened(ada)
        with pytest.raises(TooManyTypes):
            opened(ada, "other")
        page = browser_of(ada).get(ADDRESS).content.decode()
        assert "the most that one account may have" in page
        assert 'name="title"' not in page
        assert browser_of(ada).post(ADDRESS, FORM | {"name": "other"}).status_code == 400

    def test_customers_open_none_where_the_operator_says_so(self, ada: User, settings: Any) -> None:
        settings.PRIVATE_TYPES_PER_USER = 0
        assert "are not open here" in browser_of(ada).get(ADDRESS).content.decode()
        with pytest.raises(TooManyTypes, match="not open here"):
            opened(ada)

    def test_a_taken_name_is_refused_by_the_service_too(self, ada: User) -> None:
        opened(ada)
        with pytest.raises(NameTaken):
            opened(ada)


class TestImages:
    def test_file_names_tables_and_bare_images(self, ada: User) -> None:
        captcha_type = opened(ada)
        bring(ada, captcha_type, ["AB", "AB__2", "CD"])
        files = [
            SimpleUploadedFile("1.png", drawn("EF")),
            SimpleUploadedFile("labels.csv", b"filename,label\n1.png,EF\n"),
            SimpleUploadedFile("2.png", drawn("GH")),
        ]
        answer = browser_of(ada).post(f"/labeling/{captcha_type.slug}/import", {"files": files}).json()
        assert (answer["added"], answer["labelled"]) == (2, 1)
        labels = labels_of(captcha_type)
        assert (labels.images, labels.labelled, labels.waiting) == (5, 4, 1)

    def test_what_breaks_the_rules_is_named(self, ada: User) -> None:
        captcha_type = services.open_type(
            user=ada, title="The gate", name="gate", alphabet="AB", max_length=2
        )
        report = bring(ada, captcha_type, ["AB", "AC", "ABA"])
        assert report["added"] == 1
        assert [reason for _, reason in report["skipped"]] == [
            "C is not in the alphabet AB",
            "3 of at most 2 characters",
        ]

    def test_no_more_images_than_the_setting_says(self, ada: User, settings: Any) -> None:
        settings.PRIVATE_TYPE_IMAGES = 10
        captcha_type = opened(ada)
        report = bring(ada, captcha_type, TEXTS[:12])
        assert (report["added"], report["skipped_count"]) == (10, 2)
        assert report["skipped"][0][1] == "the type is full: it may hold 10 images"
        assert bring(ada, captcha_type, ["ZZ"])["added"] == 0

    def test_what_is_there_already_takes_no_place(self, ada: User, settings: Any) -> None:
        settings.PRIVATE_TYPE_IMAGES = 10
        captcha_type = opened(ada)
        files = [(f"{text}.png", drawn(text)) for text in TEXTS[:10]]
        for duplicates in (0, 10):
            uploads = [SimpleUploadedFile(name, data) for name, data in files]
            answer = browser_of(ada).post(f"/labeling/{captcha_type.slug}/import", {"files": uploads}).json()
            assert (answer["duplicates"], answer["skipped_count"]) == (duplicates, 0)

    def test_no_more_bytes_than_the_setting_says(self, ada: User, settings: Any) -> None:
        captcha_type = opened(ada)
        bring(ada, captcha_type, ["AB"])
        settings.PRIVATE_TYPE_BYTES = 2 * Sample.objects.get().size + 100
        upload = [SimpleUploadedFile(f"{text}.png", drawn(text)) for text in ("CD", "EF")]
        address = f"/labeling/{captcha_type.slug}/import"
        large = browser_of(ada).post(address, {"files": [*upload, SimpleUploadedFile("a.zip", bytes(9000))]})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        for one in upload:
            one.seek(0)
            browser_of(ada).post(address, {"files": one})
        assert Sample.objects.count() == 2

    def test_public_types_have_no_such_limit(self, ada: User, clerk: User, settings: Any) -> None:
        settings.PRIVATE_TYPE_IMAGES = 1
        public = CaptchaType.objects.create(slug="shop", title="Shop", alphabet="")
        assert bring(clerk, public, ["AB", "CD", "EF"])["added"] == 3


class TestAlone:
    """Of a private type that nobody else labels the owner's word is all there is."""

    def read(self, user: User, captcha_type: CaptchaType, text: str) -> Sample:
        session = uuid.uuid4()
        item = queue.claim(captcha_type=captcha_type, person=user, session=session, mode=Mode.TYPE, count=1)[
            0
        ]
        saved = labelling.save(
            person=user, captcha_type=captcha_type, session=session, save_id=uuid.uuid4(),
            assignment_id=uuid.UUID(item.id), kind="text", text=text,
        )  # fmt: skip
        assert saved.state == "saved"
        return Sample.objects.get(assignments=uuid.UUID(item.id))

    @pytest.fixture
    def unread(self, ada: User) -> CaptchaType:
        captcha_type = opened(ada)
        files = SimpleUploadedFile("1.png", drawn("AB"))
        browser_of(ada).post(f"/labeling/{captcha_type.slug}/import", {"files": files})
        Sample.objects.update(split="test", prediction="XY", confidence=0.99)
        return captcha_type

    def test_one_word_settles_an_image_of_the_test(self, ada: User, unread: CaptchaType) -> None:
        assert self.read(ada, unread, "AB").status == "agreed"

    def test_beside_another_labeller_two_are_needed(self, ada: User, eve: User, unread: CaptchaType) -> None:
        Membership.objects.create(captcha_type=unread, person=eve)
        assert self.read(ada, unread, "AB").status == "open"
        assert self.read(eve, unread, "AB").status == "agreed"

    def test_staff_who_look_in_change_nothing(self, ada: User, clerk: User, unread: CaptchaType) -> None:
        queue.join(captcha_type=unread, person=clerk)
        assert selectors.labels_alone(unread)

    def test_nobody_is_checked_with_what_they_said_themselves(self, ada: User, gate: CaptchaType) -> None:
        Sample.objects.update(trusted=True)
        files = [SimpleUploadedFile(f"{number}.png", drawn()) for number in range(30)]
        browser_of(ada).post(f"/labeling/{gate.slug}/import", {"files": files})
        purposes = set()
        for _ in range(3):
            queue.claim(captcha_type=gate, person=ada, session=uuid.uuid4(), mode=Mode.VERIFY)
        purposes = set(
            Sample.objects.filter(assignments__isnull=False).values_list("assignments__purpose", flat=True)
        )
        assert purposes == {"label"}
