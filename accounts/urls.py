"""Addresses of the account endpoints, relative to the root."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from accounts import api, original


class RowIdConverter(IntConverter):
    """An id that a database can hold; a larger number is an address that does not exist."""

    regex = "[1-9][0-9]{0,17}"


register_converter(RowIdConverter, "row_id")

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
    path("api/v1/account/api-keys", api.ApiKeysView.as_view(), name="api-keys"),
    path("api/v1/account/api-keys/<row_id:pk>", api.ApiKeyView.as_view(), name="api-key"),
]
