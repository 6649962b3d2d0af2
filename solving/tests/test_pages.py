"""Playground, samples and history as pages. The outsider sees nothing of the first one's."""

import csv
import io
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import credits
from accounts.models import User
from accounts.throttling import AddressThrottle
from ml.recognition.pipeline import Recognizer
from solving.history_pages import PAGE
from solving.models import Solve, SolveReport
from solving.samples import SAMPLES
from solving.tests.conftest import Caller
from solving.tests.pictures import picture

MakeUser = Callable[..., User]


def browser_of(user: User | None = None) -> Client:
    client = Client(headers={"Accept": "text/html"})
    if user is not None:
        client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


def add_solve(user: User, **fields: object) -> Solve:
    return Solve.objects.create(
        **{
            "user": user,
            "account": user.credit_account,
            "captcha_type": "captcha_type_a",
            "text": "2KXQE",
            "answer": "2KXQE",
            "confidence": 0.9,
            "outcome": "solved",
            "charged": 1,
            "elapsed_ms": 1.0,
            **fields,
        }
    )


@pytest.mark.django_db
class TestSamples:
    @pytest.mark.parametrize("sample", SAMPLES)
    def test_anybody_has_them_read_and_nothing_is_kept(self, readers: None, sample: object) -> None:
        answer = browser_of().post("/try", {"sample": getattr(sample, "slug", "")})
        assert answer.status_code == 200
        assert answer.context["shown"].answer
        assert "Nothing was charged" in answer.content.decode()
        assert not Solve.objects.exists()

    def test_nothing_else_is_read(self, readers: None) -> None:
        for data in ({}, {"sample": "../../manage.py"}, {"sample": "general", "image": "x"}):
            assert browser_of().post("/try", data).status_code in (200, 302)
        assert browser_of().post("/try", {"sample": "../settings"})["Location"] == "/"

    def test_often_is_too_often(self, readers: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(AddressThrottle, "THROTTLE_RATES", {"try": "2/min"})
        answers = [browser_of().post("/try", {"sample": "general"}) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]

    def test_without_a_reader_it_says_so(self, db: None) -> None:
        answer = browser_of().post("/try", {"sample": "general"})
        assert answer.status_code == 503
        assert "No reader is installed" in answer.content.decode()


class TestPlayground:
    def test_a_picture_is_read_charged_and_explained(self, user: User) -> None:
        answer = browser_of(user).post("/playground", {"image": SimpleUploadedFile("a.png", picture())})
        shown, page = answer.context["shown"], answer.content.decode()
        solve = Solve.objects.get()
        assert (shown.answer, solve.user, solve.charged) == (solve.answer, user, 1)
        assert set(dict(shown.stages)) == {"decode", "type", "read"}
        assert 0 < shown.type_confidence <= 1
        assert all(share < one.confidence for one in shown.characters for _, share in one.others)
        assert [mark.char for mark in shown.overlay.marks] == list(shown.text)
        assert "Where the network saw each character" in page
        assert f"{answer.context['balance']} left" in page
        assert credits.balance(user) == 9
        assert [call.language for call in answer.context["calls"]] == ["curl", "Python", "JavaScript"]

    def test_a_program_pays_for_no_overlay(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        worked_out: list[str] = []
        for name in ("columns", "alternatives"):
            monkeypatch.setattr(Recognizer, name, lambda *args, name=name: worked_out.append(name))
        answer = caller.solve(picture())
        assert answer.status_code == 200
        assert set(answer.json()["characters"][0]) == {"char", "confidence"}
        assert worked_out == []

    def test_hints_are_kept_and_stand_in_the_calls(self, user: User) -> None:
        asked = {"sample": "general", "captcha_type": "captcha_type_b", "min_confidence": "0.2"}
        answer = browser_of(user).post("/playground", asked)
        assert Solve.objects.get().answer == "35"
        for call in answer.context["calls"]:
            assert "captcha_type_b" in call.text
            assert "0.2" in call.text

    def test_a_refusal_is_free_and_says_what_to_do(self, user: User) -> None:
        answer = browser_of(user).post("/playground", {"sample": "general", "captcha_type": "blind"})
        assert "the captcha alone" in answer.content.decode()
        answer = browser_of(user).post(
            "/playground", {"sample": "general", "captcha_type": "unsure", "min_confidence": "1"}
        )
        assert "Not solved" in answer.content.decode()
        assert "Ask for a fresh captcha" in answer.content.decode()
        assert credits.balance(user) == 10

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({}, "image"),
            ({"sample": "general", "min_length": "many"}, "min_length"),
            ({"sample": "general", "min_length": "9", "max_length": "3"}, "min_length"),
            ({"sample": "general", "min_confidence": "2"}, "min_confidence"),
            ({"sample": "general", "captcha_type": "nonsense"}, "captcha_type"),
            ({"sample": "general", "alphabet": "A" * 200}, "alphabet"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field_and_costs_nothing(
        self, user: User, data: dict[str, str], field: str
    ) -> None:
        answer = browser_of(user).post("/playground", data)
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [field]
        assert not Solve.objects.exists()

    def test_a_file_that_is_no_picture_is_said_at_the_field(self, user: User) -> None:
        answer = browser_of(user).post(
            "/playground", {"image": SimpleUploadedFile("a.tif", b"II*\0 and so on")}
        )
        assert answer.status_code == 400
        assert answer.context["form"].errors["image"] == [
            "The file is a TIFF: send a JPEG, PNG, GIF, BMP or WebP. Nothing was charged."
        ]

    def test_an_empty_account_is_told_so(self, make_user: MakeUser) -> None:
        answer = browser_of(make_user("poor", balance=0)).post("/playground", {"sample": "general"})
        assert "Not enough credits" in answer.content.decode()
        assert not Solve.objects.exists()

    def test_an_answer_is_reported_once_and_by_its_owner_alone(self, user: User, outsider: User) -> None:
        browser_of(user).post("/playground", {"sample": "general"})
        path = f"/playground/{Solve.objects.get().pk}/report"
        assert browser_of(outsider).post(path, {"correction": "X"}).status_code == 404
        assert not SolveReport.objects.exists()
        assert browser_of(user).post(path, {"correction": "93717"}).status_code == 200
        assert SolveReport.objects.get().correction == "93717"
        again = browser_of(user).post(path, {"correction": "X"})
        assert again.status_code == 400
        assert "It was not reported" in again.content.decode()
        assert browser_of(user).post(path, {"correction": "X" * 65}).status_code == 400

    def test_strangers_log_in_first(self, readers: None) -> None:
        assert (
            browser_of().post("/playground", {"sample": "general"})["Location"].startswith("/accounts/login/")
        )
        assert not Solve.objects.exists()


class TestHistory:
    def test_newest_first_in_pages_without_a_gap(self, user: User, outsider: User) -> None:
        for number in range(PAGE + 5):
            add_solve(user, answer=f"N{number}")
        add_solve(outsider, answer="SECRET")
        client = browser_of(user)
        first = client.get("/accounts/history/")
        second = client.get("/accounts/history/", {"before": first.context["older"]})
        shown = [row.answer for row in (*first.context["rows"], *second.context["rows"])]
        assert shown == [f"N{number}" for number in reversed(range(PAGE + 5))]
        assert second.context["older"] is None

    def test_filters_narrow_and_bad_ones_are_said(self, user: User) -> None:
        add_solve(user)
        add_solve(user, outcome="refused", charged=0, captcha_type="", answer="", text="", reason="too dark")
        client = browser_of(user)
        refused = client.get("/accounts/history/", {"outcome": "refused"})
        assert [row.reason for row in refused.context["rows"]] == ["too dark"]
        assert not client.get("/accounts/history/", {"day_to": "2001-01-01"}).context["rows"]
        assert len(client.get("/accounts/history/", {"captcha_type": "captcha_type_a"}).context["rows"]) == 1
        page = client.get("/accounts/history/", {"captcha_type": "gone"}).content.decode()
        assert '<option value="captcha_type_a">' in page
        assert '<option value="gone" selected>' in page
        wrong = client.get("/accounts/history/", {"day_from": "yesterday", "before": "9" * 30})
        assert "Enter a valid date" in wrong.content.decode()

    def test_what_is_shown_can_be_had_as_csv_and_runs_no_formula(self, user: User, outsider: User) -> None:
        add_solve(user, text="=1+1", answer="=1+1")
        add_solve(outsider)
        answer = browser_of(user).get("/accounts/history/csv")
        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
        assert [row["answer"] for row in rows] == ["'=1+1"]

    def test_an_empty_one_says_what_to_do_next(self, user: User) -> None:
        page = browser_of(user).get("/accounts/history/").content.decode()
        assert "Nothing was solved yet" in page
        assert 'href="/playground"' in page
