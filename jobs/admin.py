"""Runs, to look at and to cancel, and schedules."""

import shlex
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from jobs import services
from jobs.kinds import all_kinds
from jobs.models import JobRun, Schedule


@admin.register(JobRun)
class JobRunAdmin(admin.ModelAdmin):
    list_display = ["__str__", "state", "progress", "started_by", "created", "finished", "page"]
    list_filter = ["state", "kind"]
    search_fields = ["=kind", "=started_by__username", "outcome"]
    search_help_text = "A kind of job, a whole user name, or a part of what came of it."
    date_hierarchy = "created"
    list_select_related = ["started_by"]
    actions = ["cancel"]
    show_full_result_count = False

    @admin.display(description="progress")
    def progress(self, run: JobRun) -> str:
        share = f"{run.done} of {run.of}" if run.of else ""
        return " ".join(part for part in (share, run.outcome or run.line) if part) or "–"

    @admin.display(description="live")
    def page(self, run: JobRun) -> str:
        return format_html('<a href="{}">look on</a>', reverse("jobs:job", args=[run.pk]))

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> None:
        cancelled = sum(services.cancel(run=run) for run in queryset)
        messages.success(request, f"{cancelled} cancelled or asked to stop.")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("jobs.change_jobrun"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ScheduleForm(forms.ModelForm):
    kind = forms.ChoiceField()
    arguments = forms.CharField(
        required=False,
        help_text="As typed after the command; words with spaces in quotes.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    class Meta:
        model = Schedule
        fields = ["kind", "arguments", "every_minutes", "daily_at", "enabled", "next_run"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(kind.name, f"{kind.title} (manage.py {kind.command})") for kind in all_kinds()]
        self.fields["kind"] = forms.ChoiceField(choices=choices)
        if self.instance.pk:
            self.initial["arguments"] = shlex.join(self.instance.arguments)

    def clean_arguments(self) -> list[str]:
        try:
            return shlex.split(self.cleaned_data["arguments"])
        except ValueError as error:
            raise forms.ValidationError(f"Quotes do not match: {error}.") from error


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):
    form = ScheduleForm
    list_display = ["__str__", "words", "enabled", "next_run", "last"]
    list_filter = ["enabled"]

    @admin.display(description="arguments")
    def words(self, schedule: Schedule) -> str:
        return shlex.join(schedule.arguments)

    @admin.display(description="last run")
    def last(self, schedule: Schedule) -> str:
        run = schedule.runs.first()
        if run is None:
            return "–"
        return format_html('<a href="{}">{}</a>', reverse("jobs:job", args=[run.pk]), run.state)
