"""Addresses of the account's pages, below /accounts/."""

from django.contrib.auth.views import LoginView, LogoutView, PasswordResetDoneView
from django.urls import path

from accounts import email_views, two_factor_views, views
from accounts.urls import RowIdConverter  # noqa: F401 (it registers itself with that module)

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("acceptable-use/", views.acceptable_use, name="acceptable-use"),
    path("password/", views.ChangePassword.as_view(), name="password_change"),
    path("password/forgotten/", views.ForgottenPassword.as_view(), name="password_reset"),
    path(
        "password/sent/",
        PasswordResetDoneView.as_view(template_name="accounts/mail_sent.html"),
        name="password_reset_done",
    ),
    path("password/<uidb64>/<token>/", views.ResetPassword.as_view(), name="password_reset_confirm"),
    path("keys/", views.keys, name="api-key-pages"),
    path("keys/<row_id:pk>/revoke", views.revoke_key, name="revoke-api-key"),
    path("email/", email_views.email, name="my-email"),
    path("email/send", email_views.send_again, name="send-verification"),
    path("email/confirm/<str:link>", email_views.confirm, name="confirm-email"),
    path("two-factor/", two_factor_views.overview, name="two-factor"),
    path("two-factor/begin", two_factor_views.begin, name="begin-two-factor"),
    path("two-factor/confirm", two_factor_views.confirm, name="confirm-two-factor"),
    path("two-factor/codes", two_factor_views.backup_codes, name="backup-codes"),
    path("two-factor/remove", two_factor_views.remove, name="remove-two-factor"),
    path("two-factor/code/", two_factor_views.give_code, name="give-code"),
    path("sessions/", views.sessions, name="my-sessions"),
    path("sessions/end-others", views.end_other_sessions, name="end-other-sessions"),
    path("sessions/<slug:handle>/end", views.end_session, name="end-session"),
    path("delete/", views.delete_account, name="delete-account"),
]
