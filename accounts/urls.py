"""Addresses of the account endpoints, relative to the root."""

from django.urls import path

from accounts import api, original

urlpatterns = [
    path("get_token", original.GetTokenView.as_view(), name="get_token"),
    path("add_user", original.AddUserView.as_view(), name="add_user"),
    path("get_account_info", original.GetAccountInfoView.as_view(), name="get_account_info"),
    path("add_credit_balance", original.AddCreditBalanceView.as_view(), name="add_credit_balance"),
    path("delete_user", original.DeleteUserView.as_view(), name="delete_user"),
    path("api/v1/token", api.TokenView.as_view(), name="token"),
    path("api/v1/token/refresh", api.TokenRefreshView.as_view(), name="token-refresh"),
    path("api/v1/token/verify", api.TokenVerifyView.as_view(), name="token-verify"),
    path("api/v1/token/blacklist", api.TokenBlacklistView.as_view(), name="token-blacklist"),
    path("api/v1/account", api.AccountView.as_view(), name="account"),
    path("api/v1/account/ledger", api.LedgerView.as_view(), name="account-ledger"),
]
