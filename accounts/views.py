"""The account's pages: sign up, passwords, API keys, the end of it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import api_keys, mail, own_sessions, selectors, services, terms, verification
from accounts.errors import AccountError
from accounts.forms import (
    ApiKeyForm,
    ChangePasswordForm,
    ForgottenPasswordForm,
    OwnPasswordForm,
    ResetPasswordForm,
    SignUpForm,
)
from accounts.sessions import session_user
from accounts.throttling import count, refuse_too_many, refuse_when_full

GET_AND_POST = ["GET", "HEAD", "POST"]
NEW_KEY = "new_api_key"
"""In the session from the making of a key to the page that shows it, which takes it out."""


@require_safe
def acceptable_use(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/acceptable_use.html", {"version": terms.VERSION})


@require_http_methods(GET_AND_POST)
@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    """A new account; whoever made it is logged in, and led on to what comes next."""
    if request.user.is_authenticated:
        return redirect("my-account")
    form = SignUpForm(request.POST or None)
    if request.method == "POST":
        refuse_when_full(request, "sign_up")
        refuse_too_many(request, "sign_up_form")  # looser: a slip of the pen makes no account
        form = SignUpForm(request.POST)
        user = form.sign_up()
        if user is not None:
            count(request, "sign_up")
            login(request, user, backend="accounts.backends.AccountBackend")
            if settings.VERIFY_EMAIL:
                verification.send(user=user, base_url=request.build_absolute_uri("/"))
                return redirect("my-email")
            messages.success(
                request, f"Welcome, {user.username}. Take a sample, or bring a picture of yours."
            )
            return redirect("playground")
    context = {"form": form, "gift": settings.SIGNUP_CREDITS, "verify": settings.VERIFY_EMAIL}
    return render(request, "accounts/sign_up.html", context, status=400 if form.errors else 200)


class ChangePassword(auth_views.PasswordChangeView):
    form_class = ChangePasswordForm
    template_name = "accounts/change_password.html"
    success_url = reverse_lazy("my-account")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Tokens made with the old one have ended.")
        return super().form_valid(form)


class ForgottenPassword(auth_views.PasswordResetView):
    """Says the same for every address, and as quickly."""

    form_class = ForgottenPasswordForm
    template_name = "accounts/forgotten_password.html"
    email_template_name = "accounts/reset_mail.txt"
    subject_template_name = "accounts/reset_mail_subject.txt"
    success_url = reverse_lazy("password_reset_done")
    extra_context = {"mail_is_sent": mail.is_sent}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        refuse_too_many(request, "sign_up")
        return super().post(request, *args, **kwargs)


class ResetPassword(auth_views.PasswordResetConfirmView):
    form_class = ResetPasswordForm
    template_name = "accounts/reset_password.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Log in with the new one.")
        return super().form_valid(form)


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def keys(request: HttpRequest) -> HttpResponse:
    """The API keys; a new one is shown by the next page and by none after it."""
    user = session_user(request)
    form = ApiKeyForm(request.POST if request.method == "POST" else None)
    text = form.create(user) if request.method == "POST" else None
    if text is not None:  # led on, as a page that is loaded again would send its form again
        request.session[NEW_KEY] = text
        return redirect("api-key-pages")
    context = {
        "form": form,
        "text": request.session.pop(NEW_KEY, None) if request.method == "GET" else None,
        "keys": [(key, api_keys.spent_today(key)) for key in user.api_keys.order_by("-pk")],
    }
    return render(request, "accounts/api_keys.html", context, status=400 if form.errors else 200)


@require_POST
@login_required
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """End a key at once. One that is gone already is no error: it is what was asked for."""
    api_keys.revoke(user=session_user(request), key_id=pk)
    messages.success(request, "The key is revoked: it is worth nothing from now on.")
    return redirect("api-key-pages")


@require_safe
@login_required
@never_cache
def sessions(request: HttpRequest) -> HttpResponse:
    """The own log-ins by browser."""
    shown = own_sessions.of(session_user(request), this=request.session.session_key)
    return render(request, "accounts/sessions.html", {"sessions": shown})


@require_POST
@login_required
def end_session(request: HttpRequest, handle: str) -> HttpResponse:
    own_sessions.end(user=session_user(request), handle=handle)
    messages.success(request, "That log-in has ended.")
    return redirect("my-sessions")


@require_POST
@login_required
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    number = own_sessions.end_others(user=session_user(request), this=request.session.session_key)
    messages.success(request, f"Other log-ins that have ended: {number}.")
    return redirect("my-sessions")


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def delete_account(request: HttpRequest) -> HttpResponse:
    """Show what goes and what stays, and delete the account once the password was typed."""
    user = session_user(request)
    form = OwnPasswordForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST":
        refuse_too_many(request, "token")
        if form.is_valid():
            try:
                services.delete_user(user=user, actor=None)
            except AccountError as error:
                form.add_error(None, str(error))
            else:
                logout(request)
                messages.success(request, "Your account is deleted.")
                return redirect("home")
    context = {"form": form, "belongings": selectors.belongings(user)}
    return render(request, "accounts/delete_account.html", context, status=400 if form.errors else 200)
