"""The pages of the root: welcome, help, and the two checks that a load balancer asks for."""

from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from captcha_site import static_files
from captcha_site.examples import Example, examples
from ml import registry
from ml.selectors import serving_models
from solving.samples import SAMPLES

WELCOME = "Welcome to Captcha Solving Service! For help, visit /info Have fun!"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Browsers get the landing page, programs a line of JSON."""
    if _wants(request, "application/json", "text/html") == "text/html":
        context = {"samples": SAMPLES, "models": serving_models(), "examples": _examples(request)[:2]}
        return render(request, "home.html", context)
    return JsonResponse({"message": WELCOME})


@require_safe
def info(request: HttpRequest) -> HttpResponse:
    """The commands to copy: a page for browsers, JSON for who asks for it, plain text for a terminal."""
    shown = _examples(request)
    match _wants(request, "text/plain", "text/html", "application/json"):
        case "text/html":
            return render(request, "info.html", {"examples": shown})
        case "application/json":
            return JsonResponse({example.title: example.command for example in shown})
    text = "\n\n".join(f"# {example.title}\n{example.command}" for example in shown)
    return HttpResponse(text + "\n", content_type="text/plain; charset=utf-8")


@require_safe
@never_cache
def health_check(request: HttpRequest) -> JsonResponse:
    """The process answers; 503 when it is about to end. Whether it can solve is for ``readyz`` to say."""
    if settings.DRAIN_FILE and Path(settings.DRAIN_FILE).exists():
        answer = JsonResponse({"message": "I am about to end: ask another one."}, status=503)
        answer._has_been_logged = True  # type: ignore[attr-defined]  # no error: the proxy asks each second
        return answer
    return JsonResponse({"message": "I am alive and kicking!"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and the readers are loaded, else 503 with what is missing.

    A version that cannot be loaded while another reads in its place is named all the same; why is for the log
    and the admin to say, not for everybody. So are static files that were not collected.
    """
    problems: list[str] = []
    readers = registry.Readiness(False)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        readers = registry.ready()
        problems.extend(problem.partition(":")[0] for problem in readers.problems)
    except DatabaseError:
        problems.append("the database does not answer")  # its message may name hosts and users
    if static_files.are_missing():  # solving goes on without
        problems.append(static_files.NOT_COLLECTED)
    if not readers:
        return JsonResponse({"status": "not ready", "problems": problems}, status=503)
    return JsonResponse({"status": "ready"} | ({"problems": problems} if problems else {}))


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """For what asks for the icon without reading a page, such as the API's JSON in a browser."""
    return redirect(static("site/favicon.svg"))


def _examples(request: HttpRequest) -> list[Example]:
    return examples(
        base_url=request.build_absolute_uri("/").rstrip("/"),
        sample_url=request.build_absolute_uri(static(SAMPLES[0].path)),
        demo=settings.DEBUG,
        otp=settings.STAFF_NEEDS_TWO_FACTOR,
    )


def _wants(request: HttpRequest, *types: str) -> str | None:
    """The type the client likes best; the first one when it takes anything, as curl does."""
    return request.get_preferred_type(list(types))
