"""What goes in and out of the account endpoints."""

from ipaddress import ip_network
from typing import Any

from rest_framework import serializers

from accounts import api_keys
from accounts.credits import MAX_AMOUNT
from accounts.models import ApiKey, LedgerEntry, User

MAX_ID = 2**63 - 1


class CredentialsSerializer(serializers.Serializer[None]):
    username = serializers.CharField(max_length=254, trim_whitespace=False, write_only=True)
    password = serializers.CharField(
        max_length=4096, trim_whitespace=False, write_only=True, style={"input_type": "password"}
    )
    otp = serializers.CharField(
        max_length=20,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="The code of the second factor, where the account has one.",
    )


class TokenLifespanSerializer(serializers.Serializer[None]):
    """The query of ``/get_token``."""

    token_lifespan = serializers.IntegerField(
        min_value=1, required=False, help_text="Hours; the server caps it. Default: 24."
    )


class BearerTokenSerializer(serializers.Serializer[None]):
    access_token = serializers.CharField()
    token_type = serializers.CharField(help_text='Always "bearer".')


class TokenPairSerializer(serializers.Serializer[None]):
    access = serializers.CharField(help_text="For the Authorization header, as Bearer.")
    refresh = serializers.CharField(help_text="Buys one new pair.")


class RefreshSerializer(serializers.Serializer[None]):
    refresh = serializers.CharField(max_length=4096)


class VerifySerializer(serializers.Serializer[None]):
    token = serializers.CharField(max_length=4096, help_text="An access or a refresh token.")


class SignUpSerializer(serializers.Serializer[None]):
    username = serializers.CharField(max_length=150)
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(
        max_length=4096, trim_whitespace=False, write_only=True, style={"input_type": "password"}
    )


class SignedUpSerializer(serializers.ModelSerializer[User]):
    credit_balance = serializers.IntegerField(source="credit_account.balance", read_only=True)

    class Meta:
        model = User
        fields = ["id", "username", "email", "credit_balance"]
        read_only_fields = fields


class AccountInfoSerializer(serializers.ModelSerializer[User]):
    """The account in the words of the original service."""

    credit_balance = serializers.IntegerField(source="credit_account.balance", read_only=True)
    time_created = serializers.DateTimeField(source="date_joined", read_only=True)

    class Meta:
        model = User
        fields = ["id", "credit_balance", "username", "email", "time_created", "time_updated"]
        read_only_fields = fields


class AccountInfoEnvelopeSerializer(serializers.Serializer[None]):
    account_info = AccountInfoSerializer()


class CreditAmountSerializer(serializers.Serializer[None]):
    user_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    credit_amount = serializers.IntegerField(
        min_value=-MAX_AMOUNT, max_value=MAX_AMOUNT, help_text="Credits; negative to take them away; not 0."
    )

    def validate_credit_amount(self, value: int) -> int:
        if value == 0:
            raise serializers.ValidationError("The amount must not be 0.")
        return value


class DeleteUserSerializer(serializers.Serializer[None]):
    """The query of ``/delete_user``."""

    delete_user_id = serializers.IntegerField(min_value=1, max_value=MAX_ID)


class MessageSerializer(serializers.Serializer[None]):
    message = serializers.CharField()


class RefusalSerializer(serializers.Serializer[None]):
    detail = serializers.CharField()


class AccountSerializer(serializers.ModelSerializer[User]):
    balance = serializers.IntegerField(source="credit_account.balance", read_only=True, help_text="Credits.")
    last_used = serializers.DateTimeField(
        source="credit_account.last_charged",
        read_only=True,
        allow_null=True,
        help_text="The last paid solve.",
    )
    created = serializers.DateTimeField(source="date_joined", read_only=True)

    class Meta:
        model = User
        fields = ["id", "username", "email", "balance", "last_used", "created"]
        read_only_fields = fields


class LedgerEntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    """An entry as its owner sees it: who of the staff made it stays inside."""

    class Meta:
        model = LedgerEntry
        fields = ["id", "amount", "balance_after", "kind", "reference", "reason", "created"]
        read_only_fields = fields


class NetworkField(serializers.CharField):
    """An IP address, or a network such as ``10.0.0.0/8``."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ip_network(text, strict=False))
        except ValueError as error:
            raise serializers.ValidationError(
                "Give an IP address, or a network such as 10.0.0.0/8."
            ) from error


class NewApiKeySerializer(serializers.Serializer[None]):
    name = serializers.CharField(max_length=80, help_text="What the key is for.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=api_keys.SCOPES),
        default=list(api_keys.SCOPES),
        allow_null=True,
        min_length=1,
        max_length=len(api_keys.SCOPES),
        help_text="`solve`: solve and report; `read`: history, account, usage.",
    )
    allowed_networks = serializers.ListField(
        child=NetworkField(max_length=50),
        default=list,
        allow_null=True,
        max_length=32,
        help_text="Addresses or networks that it may be used from; empty: from anywhere.",
    )
    daily_limit = serializers.IntegerField(
        min_value=0, max_value=MAX_AMOUNT, default=None, allow_null=True, help_text="Credits in a day of UTC."
    )

    def validate_scopes(self, value: list[str] | None) -> list[str]:
        return list(api_keys.SCOPES) if value is None else value

    def validate_allowed_networks(self, value: list[str] | None) -> list[str]:
        return value or []


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=api_keys.SCOPES), read_only=True)
    allowed_networks = serializers.SerializerMethodField()
    spent_today = serializers.SerializerMethodField(help_text="Credits; counted where there is a limit.")

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "scopes",
            "allowed_networks",
            "daily_limit",
            "spent_today",
            "last_used",
            "created",
        ]
        read_only_fields = fields

    def get_allowed_networks(self, key: ApiKey) -> list[str]:
        return key.allowed_networks.split(",") if key.allowed_networks else []

    def get_spent_today(self, key: ApiKey) -> int:
        return api_keys.spent_today(key)


class CreatedApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="Shown this once: it is stored nowhere.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields
