"""Who did what in the back office: Django's own log of actions, to look at."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.admin_lists import DayByIdFilter, LimitedPaginator


class ActionDayFilter(DayByIdFilter):
    moment = "action_time"


@admin.register(LogEntry)
class ActionAdmin(admin.ModelAdmin):
    """Nobody adds, changes or deletes a line here, whatever their rights."""

    list_display = ("action_time", "user", "kind", "content_type", "what", "message")
    list_filter = (
        ActionDayFilter,
        "action_flag",
        ("user", admin.RelatedOnlyFieldListFilter),
        ("content_type", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("user", "content_type")
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    paginator = LimitedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # counts read the whole table
    search_fields = ("object_repr", "change_message", "=user__username")
    search_help_text = "A part of what was changed or of what was said about it, or a whole user name."
    list_display_links = None

    @admin.display(description="did")
    def kind(self, entry: LogEntry) -> str:
        return str(entry.get_action_flag_display())

    @admin.display(description="to what")
    def what(self, entry: LogEntry) -> str:
        url = None if entry.is_deletion() else entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', url, entry.object_repr) if url else entry.object_repr

    @admin.display(description="details")
    def message(self, entry: LogEntry) -> str:
        return str(entry.get_change_message())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
