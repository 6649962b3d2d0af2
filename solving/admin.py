"""The history in the back office: to look at, never to change."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest

from accounts.admin_lists import LimitedPaginator
from accounts.models import User
from solving.models import MAX_ID, Solve


@admin.register(Solve)
class SolveAdmin(admin.ModelAdmin):
    """Newest first. No filters: one that few rows pass would read a table of millions to fill a page."""

    list_display = (
        "created",
        "owner",
        "captcha_type",
        "text",
        "answer",
        "confidence",
        "outcome",
        "reason",
        "charged",
        "id",
    )
    list_select_related = ("user",)
    list_per_page = 50
    ordering = ("-created", "-id")
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    search_fields = ("user",)
    search_help_text = "The whole user name, or the id of a solve."

    @admin.display(description="user")
    def owner(self, solve: Solve) -> str:
        return solve.user.username if solve.user else f"account {solve.account_id}, deleted"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Solve], search_term: str
    ) -> tuple[QuerySet[Solve], bool]:
        """By exact name or id: a substring would read the whole history."""
        term = search_term.strip()
        if not term:
            return queryset, False
        named = User.objects.annotate(name=Lower("username")).filter(name=term.lower())
        wanted = Q(user__in=list(named.values_list("pk", flat=True)))
        if term.isascii() and term.isdigit() and int(term[:20]) <= MAX_ID:
            wanted |= Q(pk=int(term))
        return queryset.filter(wanted), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Solve | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Solve | None = None) -> bool:
        return False
