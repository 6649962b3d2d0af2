"""Tokens, API keys and the own account in the modern face, below ``/api/v1/``."""

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import api_keys, tokens
from accounts.authentication import UserRequest
from accounts.login import log_in
from accounts.models import LedgerEntry
from accounts.pagination import NewestFirst
from accounts.serializers import (
    AccountSerializer,
    ApiKeySerializer,
    CreatedApiKeySerializer,
    CredentialsSerializer,
    LedgerEntrySerializer,
    NewApiKeySerializer,
    RefreshSerializer,
    TokenPairSerializer,
    VerifySerializer,
)
from accounts.throttling import TokenThrottle


class TokenEndpoint(APIView):
    """Reads no ``Authorization`` header: a client with an expired token must be able to get a new one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (TokenThrottle,)

    def get_authenticate_header(self, request: Request) -> str:
        return "Bearer"  # without it a refused token would be a 403


class TokenView(TokenEndpoint):
    @extend_schema(
        operation_id="token_create",
        summary="Log in",
        request=CredentialsSerializer,
        responses={200: TokenPairSerializer},
        tags=["token"],
    )
    def post(self, request: Request) -> Response:
        """An access token and the refresh token that renews it."""
        credentials = CredentialsSerializer(data=request.data)
        credentials.is_valid(raise_exception=True)
        entered = log_in(request=request._request, **credentials.validated_data)
        return Response(tokens.token_pair(user=entered.user, by_code=entered.by_code))


class TokenRefreshView(TokenEndpoint):
    @extend_schema(
        operation_id="token_refresh",
        summary="Renew a token",
        request=RefreshSerializer,
        responses={200: TokenPairSerializer},
        tags=["token"],
    )
    def post(self, request: Request) -> Response:
        """A new pair of tokens. The refresh token that was sent is spent."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(tokens.refresh_pair(body.validated_data["refresh"]))


class TokenVerifyView(TokenEndpoint):
    @extend_schema(
        operation_id="token_verify",
        summary="Check a token",
        request=VerifySerializer,
        responses={204: OpenApiResponse(description="The token is good.")},
        tags=["token"],
    )
    def post(self, request: Request) -> Response:
        """Whether a token, of either kind, would be accepted now."""
        body = VerifySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tokens.verify(body.validated_data["token"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenBlacklistView(TokenEndpoint):
    @extend_schema(
        operation_id="token_blacklist",
        summary="Log out",
        request=RefreshSerializer,
        responses={204: OpenApiResponse(description="The token is worth nothing from now on.")},
        tags=["token"],
    )
    def post(self, request: Request) -> Response:
        """End a refresh token. Access tokens made with it last until they expire."""
        body = RefreshSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tokens.blacklist(body.validated_data["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class AccountView(APIView):
    key_scopes: ClassVar = {"GET": "read"}

    @extend_schema(
        operation_id="account_retrieve",
        summary="The own account",
        responses={200: AccountSerializer},
        tags=["account"],
    )
    def get(self, request: UserRequest) -> Response:
        """Who is calling, and how many credits are left."""
        return Response(AccountSerializer(request.user).data)


@extend_schema_view(
    get=extend_schema(operation_id="account_ledger_list", summary="The own ledger", tags=["account"])
)
class LedgerView(generics.ListAPIView[LedgerEntry]):
    """Every change of the balance, the newest first."""

    key_scopes: ClassVar = {"GET": "read"}
    serializer_class = LedgerEntrySerializer
    pagination_class = NewestFirst
    queryset = LedgerEntry.objects.none()

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        if not self.request.user.is_authenticated:  # while the schema is drawn
            return self.queryset
        return LedgerEntry.objects.filter(account=self.request.user.credit_account)


class ApiKeysView(APIView):
    """A key makes no keys: these want a token."""

    @extend_schema(
        operation_id="api_keys_list",
        summary="The own API keys",
        responses={200: ApiKeySerializer(many=True)},
        tags=["api-keys"],
    )
    def get(self, request: UserRequest) -> Response:
        """Every key, without its text, the newest first."""
        return Response(ApiKeySerializer(request.user.api_keys.order_by("-pk"), many=True).data)

    @extend_schema(
        operation_id="api_keys_create",
        summary="Make an API key",
        request=NewApiKeySerializer,
        responses={
            201: CreatedApiKeySerializer,
            409: OpenApiResponse(description="There are too many keys."),
        },
        tags=["api-keys"],
    )
    def post(self, request: UserRequest) -> Response:
        """A new key. Its text is in this answer and nowhere else."""
        body = NewApiKeySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        key, text = api_keys.create(user=request.user, **body.validated_data)
        return Response(ApiKeySerializer(key).data | {"key": text}, status=status.HTTP_201_CREATED)


class ApiKeyView(APIView):
    @extend_schema(
        operation_id="api_keys_revoke",
        summary="Revoke an API key",
        responses={204: OpenApiResponse(description="The key is worth nothing from now on.")},
        tags=["api-keys"],
    )
    def delete(self, request: UserRequest, pk: int) -> Response:
        """End a key at once."""
        if not api_keys.revoke(user=request.user, key_id=pk):
            raise NotFound("You have no such API key.")
        return Response(status=status.HTTP_204_NO_CONTENT)
