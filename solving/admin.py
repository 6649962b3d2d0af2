"""The history in the back office: to look at, never to change."""

import base64
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.admin_lists import DayByIdFilter, DayFilter, LimitedPaginator, ids_of_user_named
from solving import kept_images, reports
from solving.models import MAX_ID, Callback, Solve, SolveReport


@admin.register(Solve)
class SolveAdmin(admin.ModelAdmin):
    """Newest first. One filter, by the day, which an index serves: another one that few rows pass would read
    a table of millions to fill a page.
    """

    list_display = (
        "created",
        "owner",
        "captcha_type",
        "text",
        "answer",
        "sure",
        "outcome",
        "reason",
        "charged",
        "id",
    )
    list_filter = (DayFilter,)
    list_select_related = ("user",)
    list_per_page = 50
    ordering = ("-created", "-id")
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    search_fields = ("user",)
    search_help_text = "The whole user name, or the id of a solve."

    @admin.display(description="user")
    def owner(self, solve: Solve) -> str:
        return solve.user.username if solve.user else f"account {solve.account_id}, deleted"

    @admin.display(description="confidence")
    def sure(self, solve: Solve) -> str | None:
        return None if solve.confidence is None else f"{solve.confidence:.4f}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Solve], search_term: str
    ) -> tuple[QuerySet[Solve], bool]:
        """By exact name or id: a substring would read the whole history."""
        return queryset.filter(_of_user_or_id(search_term.strip())), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Solve | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Solve | None = None) -> bool:
        return False


def _of_user_or_id(term: str) -> Q:
    """What bears the id, or belongs to the user of that whole name; everything for an empty term."""
    if not term:
        return Q()
    wanted = Q(user__in=ids_of_user_named(term))
    if term.isascii() and term.isdigit() and int(term[:20]) <= MAX_ID:
        wanted |= Q(pk=int(term))
    return wanted


class SettledByFilter(admin.BooleanFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "whether staff decide"


@admin.register(SolveReport)
class SolveReportAdmin(admin.ModelAdmin):
    """Reports of wrong answers. Where the type has no labellers, staff look at the image and decide here."""

    list_display = (
        "created",
        "user",
        "verdict",
        "state",
        "by_hand",
        "answer",
        "correction",
        "refunded",
        "pk",
    )
    list_filter = (DayFilter, ("by_hand", SettledByFilter), "state")
    search_fields = ("user",)
    search_help_text = "The whole user name, or the id of a solve."
    list_select_related = ("user", "solve")
    list_per_page = 50
    ordering = ("-created",)
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    actions = ("answer_was_wrong", "answer_was_right")
    fields = (
        "image",
        "answer",
        "correction",
        "verdict",
        "state",
        "decided_text",
        "refunded",
        "created",
        "decided",
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SolveReport], search_term: str
    ) -> tuple[QuerySet[SolveReport], bool]:
        """By exact name or id: a look at each answer would read the history along with the reports."""
        return queryset.filter(_of_user_or_id(search_term.strip())), False

    @admin.display(description="answered")
    def answer(self, report: SolveReport) -> str:
        return report.solve.answer

    @admin.display(description="image")
    def image(self, report: SolveReport) -> str:
        data = kept_images.read_for_staff(report.solve) if report.by_hand else None
        if data is None:
            return "Labellers have it." if not report.by_hand else "Not kept any more."
        encoded = base64.b64encode(data).decode()
        return format_html(
            '<img src="data:{};base64,{}" alt="the reported image">', _media_type_of(data), encoded
        )

    @admin.action(description="The answer was wrong: pay it back", permissions=["settle"])
    def answer_was_wrong(self, request: HttpRequest, chosen: QuerySet[SolveReport]) -> None:
        self._settle(request, chosen, was_wrong=True)

    @admin.action(description="The answer was right", permissions=["settle"])
    def answer_was_right(self, request: HttpRequest, chosen: QuerySet[SolveReport]) -> None:
        self._settle(request, chosen, was_wrong=False)

    def _settle(self, request: HttpRequest, chosen: QuerySet[SolveReport], *, was_wrong: bool) -> None:
        settled = [reports.settle_by_hand(solve_id=report.pk, was_wrong=was_wrong) for report in chosen]
        left = len(settled) - sum(settled)
        message = f"{sum(settled)} settled."
        if left:
            message += f" {left} do not wait for the staff: labellers have them, or they are settled."
        self.message_user(request, message, messages.WARNING if left else messages.SUCCESS)

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_creditaccount")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SolveReport | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SolveReport | None = None) -> bool:
        return False


@admin.register(Callback)
class CallbackAdmin(admin.ModelAdmin):
    """The outbox, to look at."""

    list_display = ("created", "user", "url", "state", "attempts", "due", "error")
    list_filter = (DayByIdFilter, "state")
    search_fields = ("user", "url")
    search_help_text = "The whole user name, or how the address begins."
    list_select_related = ("user",)
    list_per_page = 50
    exclude = ("digest", "body")
    ordering = ("-id",)
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Callback], search_term: str
    ) -> tuple[QuerySet[Callback], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        people = ids_of_user_named(term)
        return queryset.filter(Q(user__in=people) if people else Q(url__startswith=term)), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Callback | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Callback | None = None) -> bool:
        return False


_MEDIA_TYPES = {b"\x89P": "image/png", b"GI": "image/gif", b"BM": "image/bmp", b"RI": "image/webp"}


def _media_type_of(data: bytes) -> str:
    return _MEDIA_TYPES.get(data[:2], "image/jpeg")
