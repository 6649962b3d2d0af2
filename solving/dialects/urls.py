"""Addresses of the dialects, at the root of the host: clients join them to its name themselves."""

from django.urls import path, re_path

from solving import converters  # noqa: F401 (they register themselves)
from solving.dialects import death_by_captcha, forms, json_tasks

JSON_METHODS = {
    "createTask": json_tasks.create_task,
    "getTaskResult": json_tasks.get_task_result,
    "getBalance": json_tasks.get_balance,
    "reportCorrect": json_tasks.report_correct,
    "reportCorrectRecaptcha": json_tasks.report_correct,
    "reportIncorrect": json_tasks.report_incorrect,
    "reportIncorrectRecaptcha": json_tasks.report_incorrect,
    "reportIncorrectImageCaptcha": json_tasks.report_incorrect,
    "getQueueStats": json_tasks.get_queue_stats,
    "getSpendingStats": json_tasks.get_spending_stats,
    "getAppStats": json_tasks.no_such_method,
    "test": json_tasks.test,
}

urlpatterns = [
    *(path(name, view) for name, view in JSON_METHODS.items()),
    path("in.php", forms.submit),
    path("res.php", forms.result),
    path("api/captcha", death_by_captcha.upload),
    path("api/captcha/<solve_id:pk>", death_by_captcha.captcha),
    path("api/captcha/<solve_id:pk>/report", death_by_captcha.report),
    path("api/user", death_by_captcha.user),
    re_path("^api/(?:captcha|user)/", death_by_captcha.no_such_address),
]
"""Without a slash at the end, and never redirected to one."""
