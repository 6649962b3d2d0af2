"""The pages of the e-mail address: confirm it, have the link sent again, change it."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import mail, verification
from accounts.errors import DuplicateEmail
from accounts.forms import ChangeEmailForm
from accounts.sessions import session_user
from accounts.throttling import refuse_too_many

GET_AND_POST = ["GET", "HEAD", "POST"]


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def email(request: HttpRequest) -> HttpResponse:
    """The address, whether it is confirmed, and a form for another one."""
    user = session_user(request)
    form = ChangeEmailForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST":
        refuse_too_many(request, "sign_up")
        if form.change():
            if settings.VERIFY_EMAIL:
                verification.send(user=user, base_url=request.build_absolute_uri("/"))
            else:
                messages.success(request, "Your address is changed.")
            return redirect("my-email")
    context = {
        "form": form,
        "verify": settings.VERIFY_EMAIL,
        "verified": verification.is_verified(user),
        "waiting": verification.awaited(user),
        "gift": settings.SIGNUP_CREDITS,
        "mail_is_sent": mail.is_sent(),
        "minutes": mail.SECONDS_BETWEEN // 60,
    }
    return render(request, "accounts/email.html", context, status=400 if form.errors else 200)


@require_POST
@login_required
def send_again(request: HttpRequest) -> HttpResponse:
    user = session_user(request)
    if verification.awaited(user) is None and not verification.is_verified(user):
        verification.begin(user=user, email=user.email)
    if verification.send(user=user, base_url=request.build_absolute_uri("/")):
        messages.success(request, "A mail is on its way.")
    else:
        minutes = mail.SECONDS_BETWEEN // 60
        messages.warning(request, f"A mail was sent a moment ago. Wait {minutes} minutes before the next.")
    return redirect("my-email")


@require_http_methods(GET_AND_POST)
@never_cache
def confirm(request: HttpRequest, link: str) -> HttpResponse:
    """Where the mail's link leads. A button is to be pressed: programs that look into mail open links too."""
    try:
        if request.method != "POST":
            context = {"waiting": verification.of_link(link)}
            return render(request, "accounts/confirm_email.html", context)
        refuse_too_many(request, "token")
        confirmed = verification.confirm(link=link)
    except (verification.LinkEnded, DuplicateEmail) as error:
        return render(request, "accounts/confirm_email.html", {"problem": error}, status=error.status)
    paid = f" {confirmed.gift} credits are on your account." if confirmed.gift else ""
    messages.success(request, f"Your address is confirmed.{paid}")
    return redirect("playground" if confirmed.gift else "my-email")
