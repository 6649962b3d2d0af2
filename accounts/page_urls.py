"""Addresses of the account's pages, below /accounts/."""

from django.contrib.auth.views import LoginView, LogoutView, PasswordResetDoneView
from django.urls import path

from accounts import views
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
    path("delete/", views.delete_account, name="delete-account"),
]
