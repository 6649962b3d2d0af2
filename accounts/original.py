"""The account endpoints of the original service, word for word. Only status codes are corrected."""

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts import credits, services, tokens, verification
from accounts.authentication import UserRequest
from accounts.errors import InvalidCredentials
from accounts.login import log_in
from accounts.models import User
from accounts.permissions import MayChangeCredits, MayDeleteUsers
from accounts.serializers import (
    AccountInfoEnvelopeSerializer,
    AccountInfoSerializer,
    BearerTokenSerializer,
    CredentialsSerializer,
    CreditAmountSerializer,
    DeleteUserSerializer,
    MessageSerializer,
    RefusalSerializer,
    SignedUpSerializer,
    SignUpSerializer,
    TokenLifespanSerializer,
)
from accounts.throttling import SignUpThrottle, TokenThrottle

REFUSED = RefusalSerializer
"""What every refusal outside ``/api/`` looks like: ``{"detail": "…"}``."""


class GetTokenView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (TokenThrottle,)

    @extend_schema(
        operation_id="get_token",
        summary="Log in",
        parameters=[TokenLifespanSerializer],
        request={
            "application/x-www-form-urlencoded": CredentialsSerializer,
            "multipart/form-data": CredentialsSerializer,
        },
        responses={200: BearerTokenSerializer, 400: REFUSED, 401: REFUSED, 415: REFUSED, 429: REFUSED},
        tags=["original"],
    )
    def post(self, request: Request) -> Response:
        """An access token for a user name and a password."""
        query = _parsed(TokenLifespanSerializer, request.query_params)
        credentials = _parsed(CredentialsSerializer, request.data)
        try:
            entered = log_in(request=request._request, **credentials)
        except InvalidCredentials as error:
            return Response({"detail": str(error)}, status=error.status, headers=error.headers)
        token = tokens.access_token(
            user=entered.user, hours=query.get("token_lifespan"), by_code=entered.by_code
        )
        return Response({"access_token": token, "token_type": "bearer"})


class AddUserView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (SignUpThrottle,)

    @extend_schema(
        operation_id="add_user",
        summary="Sign up",
        request=SignUpSerializer,
        responses={200: SignedUpSerializer, 400: REFUSED, 409: REFUSED, 415: REFUSED, 429: REFUSED},
        tags=["original"],
    )
    def post(self, request: Request) -> Response:
        """A new user, with some credits to begin with: at once, or once a mailed link was opened."""
        body = _parsed(SignUpSerializer, request.data)
        try:
            user = services.register_user(**body)
        except DjangoValidationError as error:
            raise ValidationError(error.message_dict) from error
        verification.send(user=user, base_url=request.build_absolute_uri("/"))
        return Response(SignedUpSerializer(user).data)


class GetAccountInfoView(APIView):
    key_scopes: ClassVar = {"POST": "read"}

    @extend_schema(
        operation_id="get_account_info",
        summary="The own account",
        request=None,
        responses={200: AccountInfoEnvelopeSerializer, 401: REFUSED, 429: REFUSED},
        tags=["original"],
    )
    def post(self, request: UserRequest) -> Response:
        """Who is calling, and how many credits are left."""
        return Response({"account_info": AccountInfoSerializer(request.user).data})


class AddCreditBalanceView(APIView):
    permission_classes = (MayChangeCredits,)

    @extend_schema(
        operation_id="add_credit_balance",
        summary="Add or take credits",
        request=CreditAmountSerializer,
        responses={
            200: CreditAmountSerializer,
            400: REFUSED,
            401: REFUSED,
            402: REFUSED,
            403: REFUSED,
            404: REFUSED,
            415: REFUSED,
            429: REFUSED,
        },
        tags=["original"],
    )
    def post(self, request: UserRequest) -> Response:
        """Change a user's balance; for administrators."""
        body = _parsed(CreditAmountSerializer, request.data)
        credits.grant(
            user=_user(body["user_id"]),
            amount=body["credit_amount"],
            reason="by /add_credit_balance",
            actor=request.user.get_username(),
        )
        return Response({"credit_amount": body["credit_amount"], "user_id": body["user_id"]})


class DeleteUserView(APIView):
    permission_classes = (MayDeleteUsers,)

    @extend_schema(
        operation_id="delete_user",
        summary="Delete a user",
        parameters=[DeleteUserSerializer],
        request=None,
        responses={
            200: MessageSerializer,
            400: REFUSED,
            401: REFUSED,
            403: REFUSED,
            404: REFUSED,
            409: REFUSED,
            429: REFUSED,
        },
        tags=["original"],
    )
    def post(self, request: UserRequest) -> Response:
        """Delete somebody else's account; for administrators."""
        user = _user(_parsed(DeleteUserSerializer, request.query_params)["delete_user_id"])
        if user.is_superuser and not request.user.is_superuser:
            raise PermissionDenied("Only a superuser may delete a superuser.")
        deleted_id = user.pk
        services.delete_user(user=user, actor=request.user)
        return Response({"message": f"User ID - {deleted_id} was successfully deleted!"})


def _parsed(serializer_class: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _user(user_id: int) -> User:
    user = User.objects.select_related("credit_account").filter(pk=user_id).first()
    if user is None:
        raise NotFound(f"There is no user with ID - {user_id}.")
    return user
