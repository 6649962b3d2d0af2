"""The pages of the second factor: set it up, new back-up codes, remove it; the code after the password."""

from typing import Any

import django_otp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import two_factor
from accounts.forms import CodeForm, OwnPasswordForm, SetUpForm
from accounts.models import User
from accounts.sessions import session_user
from accounts.throttling import refuse_too_many

GET_AND_POST = ["GET", "HEAD", "POST"]


@require_safe
@login_required
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    return _overview(request, session_user(request))


@require_POST
@login_required
def begin(request: HttpRequest) -> HttpResponse:
    two_factor.begin(user=session_user(request))
    return redirect("two-factor")


@require_POST
@login_required
@never_cache
def confirm(request: HttpRequest) -> HttpResponse:
    """Take the app into use. The back-up codes are in this answer and nowhere else."""
    user = session_user(request)
    refuse_too_many(request, "token")
    if two_factor.unconfirmed(user) is None:
        return redirect("two-factor")
    form = SetUpForm(request.POST, user=user)
    taken = form.take() if form.is_valid() else None
    if taken is None:
        return _overview(request, user, set_up=form)
    device, codes = taken
    django_otp.login(request, device)
    return _overview(request, user, codes=codes)


@require_POST
@login_required
@never_cache
def backup_codes(request: HttpRequest) -> HttpResponse:
    """New back-up codes, in this answer and nowhere else."""
    user = session_user(request)
    refuse_too_many(request, "token")
    form = OwnPasswordForm(request.POST, user=user)
    if two_factor.device_of(user) is None or not form.is_valid():
        return _overview(request, user, own_password=form)
    return _overview(request, user, codes=two_factor.new_backup_codes(user=user))


@require_POST
@login_required
@never_cache
def remove(request: HttpRequest) -> HttpResponse:
    user = session_user(request)
    refuse_too_many(request, "token")
    form = OwnPasswordForm(request.POST, user=user)
    if not form.is_valid():
        return _overview(request, user, own_password=form)
    two_factor.remove(user=user)
    messages.success(request, "The second factor is removed: your password alone logs in.")
    return redirect("two-factor")


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def give_code(request: HttpRequest) -> HttpResponse:
    """The code after the password; until it is right, the log-in opens this page alone."""
    user = session_user(request)
    if request.user.is_verified() or not two_factor.has_device(user):  # type: ignore[union-attr]
        return redirect("my-account")
    form = CodeForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST":
        refuse_too_many(request, "token")
        device = form.check() if form.is_valid() else None
        if device is not None:
            request.session.cycle_key()
            django_otp.login(request, device)
            return redirect(_wanted(request))
    context = {"form": form, "next": request.POST.get("next", request.GET.get("next", ""))}
    return render(request, "accounts/give_code.html", context, status=form.status)


def _overview(request: HttpRequest, user: User, **more: Any) -> HttpResponse:
    """`more` holds the form in which something is wrong, or the codes that are shown once."""
    device, new = two_factor.device_of(user), two_factor.unconfirmed(user)
    form = more.get("set_up") or more.get("own_password")
    context = {
        "device": device,
        "new": new,
        "secret": new and two_factor.secret_of(new),
        "picture": new and two_factor.picture_of(new),
        "left": two_factor.backup_codes_left(user),
        "demanded": two_factor.is_demanded(user),
        "set_up": SetUpForm(user=user),
        "own_password": OwnPasswordForm(user=user),
    }
    status = form.status if isinstance(form, CodeForm) else 400 if form and form.errors else 200
    return render(request, "accounts/two_factor.html", context | more, status=status)


def _wanted(request: HttpRequest) -> str:
    """Where the person was on the way to, if that is here."""
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if here else resolve_url(settings.LOGIN_REDIRECT_URL)
