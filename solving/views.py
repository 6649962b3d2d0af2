"""Pages on which a captcha is read: the samples for everybody, the playground for who has an account."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import verification
from accounts.credits import InsufficientCredits
from accounts.models import User
from accounts.sessions import session_user
from accounts.throttling import refuse_too_many
from ml import registry
from ml.recognition.images import ImageError
from ml.recognition.pipeline import Unsolvable
from solving import calls, reports, services, shown
from solving.errors import InvalidParameter, NoReader, SolvingError
from solving.forms import PlaygroundForm
from solving.models import Solve, SolveReport
from solving.samples import SAMPLES, Sample, sample_of
from solving.shown import Shown

MAX_CORRECTION = SolveReport._meta.get_field("correction").max_length or 0


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def try_sample(request: HttpRequest) -> HttpResponse:
    """Read a shipped sample for anybody: nothing is charged and nothing is kept."""
    sample = sample_of(request.POST.get("sample", ""))
    if sample is None:
        return redirect("home")
    refuse_too_many(request, "try")
    context = {"sample": sample, "samples": SAMPLES, "shown": _read_sample(sample)}
    return render(request, _whole_or_part(request, "solving/try.html", "solving/_try_result.html"), context)


def _read_sample(sample: Sample) -> Shown:
    recognizer = registry.recognizer()
    if recognizer.general is None and not recognizer.readers:
        raise NoReader
    try:
        recognition = recognizer.recognize(sample.image)
    except Unsolvable as refusal:
        return shown.of_refusal(refusal)
    return shown.of_recognition(recognition, image=sample.image, recognizer=recognizer)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def playground(request: HttpRequest) -> HttpResponse:
    """One image, read and charged as by a program, and all that is known of the reading."""
    user = session_user(request)
    form = PlaygroundForm(request.POST or None, request.FILES or None, user_id=user.pk)
    context = {
        "form": form,
        "samples": SAMPLES,
        "price": settings.SOLVE_PRICE,
        "max_correction": MAX_CORRECTION,
    }
    context["reports_taken"] = settings.REPORT_WINDOW_MINUTES > 0
    status = 200
    if request.method == "POST":
        form = context["form"] = PlaygroundForm(request.POST, request.FILES, user_id=user.pk)
        if form.is_valid():
            _solve(user, form, context)
        if "shown" in context:
            base_url = request.build_absolute_uri("/").rstrip("/")
            context["calls"] = calls.calls(base_url, form.said)
        status = 400 if form.errors else 200
    user.credit_account.refresh_from_db()
    context["balance"] = user.credit_account.balance
    template = _whole_or_part(request, "solving/playground.html", "solving/_playground_result.html")
    return render(request, template, context, status=status)


@require_POST
@login_required
@never_cache
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that an answer of one's own was wrong, and what is right if one knows."""
    user = session_user(request)
    solve = get_object_or_404(Solve, pk=pk, user=user)
    correction = request.POST.get("correction", "").strip()
    context: dict[str, object] = {"solve": solve, "correction": correction}
    try:
        if len(correction) > MAX_CORRECTION:
            raise InvalidParameter("correction", f"must be at most {MAX_CORRECTION} characters.")
        context["report"] = reports.file(
            user=user, solve=solve, verdict=SolveReport.Verdict.INCORRECT, correction=correction
        )
    except SolvingError as error:
        context["error"] = error
    status = 400 if "error" in context else 200
    template = _whole_or_part(request, "solving/report.html", "solving/_report.html", part_name="report")
    return render(request, template, context, status=status)


def _solve(user: User, form: PlaygroundForm, context: dict[str, object]) -> None:
    """Put the reading into the context, or what was wrong at the field that it is about."""
    try:
        receipt = services.solve(user=user, image=form.image_bytes, hints=form.hints)
    except ImageError as error:
        form.add_error("image", f"{error.sentence} Nothing was charged.")
    except InsufficientCredits as error:
        context["insufficient"] = error
        context["unverified"] = settings.VERIFY_EMAIL and not verification.is_verified(user)
    else:
        context["shown"] = shown.of_receipt(
            receipt, image=form.image_bytes, recognizer=registry.recognizer(user.pk)
        )


def _whole_or_part(request: HttpRequest, whole: str, part: str, part_name: str = "result") -> str:
    """The page's script asks for the result alone and puts it in place; without it the page loads anew."""
    return part if request.headers.get("X-Part") == part_name else whole
