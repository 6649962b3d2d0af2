"""The back office: users, their credits, and the ledger."""

from typing import Any

import django_otp.plugins.otp_static.admin  # what is unregistered below must be there
import django_otp.plugins.otp_totp.admin  # noqa: F401
import rest_framework_simplejwt.token_blacklist.admin  # noqa: F401
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts import credits, selectors, services, two_factor, verification
from accounts.admin_forms import ChangeUserForm, CreditsForm, DeleteUserForm, NewPasswordForm, NewUserForm
from accounts.admin_lists import DayByIdFilter, LimitedPaginator, ids_of_user_named
from accounts.errors import AccountError
from accounts.models import ApiKey, CreditAccount, LedgerEntry, User

# Their pages show whole refresh tokens and the secrets of second factors: whoever may look could log in as
# anybody. Registered by the imports.
admin.site.unregister((OutstandingToken, BlacklistedToken, StaticDevice, TOTPDevice))


class JoinedFilter(DayByIdFilter):
    title = "day of joining"
    moment = "date_joined"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    add_form = NewUserForm
    form = ChangeUserForm
    change_password_form = NewPasswordForm
    list_display = ("username", "email", "balance", "last_use", "is_active", "is_staff", "date_joined")
    list_filter = (JoinedFilter, "is_active", "is_staff", "is_superuser", "credit_account__last_charged")
    list_select_related = ("credit_account",)
    search_fields = ("username", "email")
    ordering = ("-id",)
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    actions = ("change_credits", "suspend", "reactivate")
    readonly_fields = (
        "email_verified",
        "two_factor",
        "balance",
        "last_use",
        "ledger",
        "last_login",
        "date_joined",
        "time_updated",
    )
    fieldsets = (
        (None, {"fields": ("username", "email", "email_verified", "password", "two_factor")}),
        ("Credits", {"fields": ("balance", "last_use", "ledger")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("date_joined", "last_login", "time_updated")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2"),
            },
        ),
    )
    delete_confirmation_template = "admin/accounts/user/delete_confirmation.html"

    @admin.display(ordering="credit_account__balance", description="balance")
    def balance(self, user: User) -> int:
        return user.credit_account.balance

    @admin.display(ordering="credit_account__last_charged", description="last use", empty_value="never")
    def last_use(self, user: User) -> str | None:
        moment = user.credit_account.last_charged
        return date_format(localtime(moment), "DATETIME_FORMAT") if moment else None

    @admin.display(description="address confirmed", boolean=True)
    def email_verified(self, user: User) -> bool:
        return verification.is_verified(user)

    @admin.display(description="second factor", boolean=True)
    def two_factor(self, user: User) -> bool:
        return two_factor.has_device(user)

    @admin.display(description="ledger")
    def ledger(self, user: User) -> str:
        entries = reverse("admin:accounts_ledgerentry_changelist")
        return format_html(
            '<a href="{}?account__id__exact={}">all entries</a>', entries, user.credit_account.pk
        )

    # Who may do what. Only superusers touch superusers and give rights, or rights would grow by themselves.

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _within_reach(request, obj)

    def has_credits_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_creditaccount")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if not request.user.is_superuser:
            fields += ("is_staff", "is_superuser", "groups", "user_permissions")
        return fields

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # one at a time, by name
        return actions

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            credits.open_account(user=obj, gift=settings.SIGNUP_CREDITS)

    # Actions

    @admin.action(description="Add or take credits", permissions=["credits"])
    def change_credits(self, request: HttpRequest, users: QuerySet[User]) -> HttpResponse | None:
        """The form, then what would come of it, then the change: for all the chosen users or for none."""
        chosen = list(users.select_related("credit_account").order_by("username"))
        step = request.POST.get("step", "")
        form = CreditsForm(request.POST if step else None)
        template = "admin/accounts/user/change_credits.html"
        amount = 0
        if step and form.is_valid():
            if step == "apply" and self._apply_credits(request, chosen, form):
                return None
            amount = form.cleaned_data["amount"]
            short = [user.username for user in chosen if user.credit_account.balance + amount < 0]
            if short:
                form.add_error("amount", f"That is more than these have: {', '.join(short)}.")
            elif step == "preview":
                template = "admin/accounts/user/confirm_credits.html"
        context = self.admin_site.each_context(request) | {
            "title": "Add or take credits",
            "opts": self.opts,
            "form": form,
            "rows": [(user, user.credit_account.balance + amount) for user in chosen],
            "media": self.media + form.media,
        }
        return TemplateResponse(request, template, context)

    def _apply_credits(self, request: HttpRequest, users: list[User], form: CreditsForm) -> bool:
        amount, reason = form.cleaned_data["amount"], form.cleaned_data["reason"]
        try:
            with transaction.atomic():
                for user in sorted(users, key=lambda user: user.pk):  # one order of locks for everybody
                    credits.grant(
                        user=user,
                        amount=amount,
                        reason=reason,
                        actor=request.user.get_username(),
                        reference=form.cleaned_data["once"],
                    )
                    self.log_change(request, user, f"{amount:+d} credits: {reason}")
        except AccountError as error:
            form.add_error(None, str(error))
            return False
        self.message_user(
            request,
            f"{amount:+d} credit{pluralize(amount)} for {len(users)} user{pluralize(len(users))}.",
            messages.SUCCESS,
        )
        return True

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            self._refuse_out_of_reach(request, user)
            try:
                services.suspend_user(user=user, actor=_actor(request))
            except AccountError as error:
                self.message_user(request, f"Not suspended: {user.username}. {error}", messages.ERROR)
            else:
                self.log_change(request, user, "suspended")
                self.message_user(request, f"Suspended: {user.username}.", messages.SUCCESS)

    @admin.action(description="Reactivate", permissions=["change"])
    def reactivate(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            self._refuse_out_of_reach(request, user)
            services.reactivate_user(user=user)
            self.log_change(request, user, "reactivated")
            self.message_user(request, f"Reactivated: {user.username}.", messages.SUCCESS)

    def _refuse_out_of_reach(self, request: HttpRequest, user: User) -> None:
        if not self.has_change_permission(request, user):
            raise PermissionDenied

    # Deletion

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what goes and what stays, and delete once the name was typed."""
        user = self.get_object(request, object_id)
        if user is None:
            raise Http404
        if not self.has_delete_permission(request, user):
            raise PermissionDenied
        form = DeleteUserForm(request.POST or None, user=user)
        if request.method == "POST" and form.is_valid():
            user_id, username = user.pk, user.username
            try:
                with transaction.atomic():
                    self.log_deletions(request, User.objects.filter(pk=user_id))
                    services.delete_user(user=user, actor=_actor(request))
            except AccountError as error:
                form.add_error(None, str(error))
            else:
                self.message_user(request, f"User {username} (ID {user_id}) is deleted.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:accounts_user_changelist"))
        context = self.admin_site.each_context(request) | {
            "title": f"Delete the user {user.username}",
            "opts": self.opts,
            "form": form,
            "object": user,
            "belongings": selectors.belongings(user),
            "media": self.media + form.media,
        }
        return TemplateResponse(request, self.delete_confirmation_template, context)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(admin.ModelAdmin):
    """To look at only: entries are made by solving, by the action above, and never by hand."""

    list_display = (
        "created",
        "owner",
        "kind",
        "amount",
        "balance_after",
        "actor",
        "reason",
        "reference",
    )
    list_filter = (DayByIdFilter, "kind")
    list_select_related = ("account__user",)
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    search_fields = ("account",)
    search_help_text = "The whole user name, or the number of an account."

    @admin.display(description="user")
    def owner(self, entry: LedgerEntry) -> str:
        user = entry.account.user
        return user.username if user else f"account {entry.account_id}, deleted"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """By exact name or number: a substring would read the whole ledger."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(user__in=ids_of_user_named(term))
        if term.isascii() and term.isdigit() and len(term) < 19:
            wanted |= Q(pk=int(term))
        accounts = CreditAccount.objects.filter(wanted)
        return queryset.filter(account__in=list(accounts.values_list("pk", flat=True))), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LedgerEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LedgerEntry | None = None) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """To look at and to revoke, which is to delete: what a key opens is known to its owner alone."""

    list_display = ("prefix", "user", "name", "can_solve", "can_read", "daily_limit", "last_used", "created")
    list_select_related = ("user",)
    exclude = ("digest",)
    ordering = ("-id",)
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    search_fields = ("prefix", "=user__username")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False


def _within_reach(request: HttpRequest, user: User | None) -> bool:
    return user is None or not user.is_superuser or request.user.is_superuser


def _actor(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
