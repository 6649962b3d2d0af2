"""``manage.py help``: the commands of the project by what one wants to do, before Django's own."""

import re
import shutil
import textwrap
from collections import defaultdict
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import ManagementUtility, get_commands, load_command_class
from django.db import DatabaseError, OperationalError

GROUPS = (
    "Solve",
    "Label",
    "Crawl",
    "Train and choose models",
    "Accounts and credits",
    "Run in production",
)
_OF_APP = {
    "accounts": "Accounts and credits",
    "crawl": "Crawl",
    "labeling": "Label",
    "own_types": "Accounts and credits",
    "ml": "Train and choose models",
}
_OF_COMMAND = {
    "solve": "Solve",
    "demo": "Accounts and credits",
    "settle_reports": "Accounts and credits",
    "train_dataset": "Train and choose models",
}
"""Of commands that are for something else than the rest of their app. What no table has runs the service."""


def own_commands() -> dict[str, str]:
    """The project's commands, each with its app."""
    own = {config.name for config in apps.get_app_configs() if Path(config.path).parent == settings.BASE_DIR}
    return {name: app for name, app in sorted(get_commands().items()) if app in own}


def commands_by_task() -> dict[str, dict[str, str]]:
    """The project's commands with a line on each, by group, in the order of GROUPS."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name, app in own_commands().items():
        group = _OF_COMMAND.get(name) or _OF_APP.get(app, "Run in production")
        found[group][name] = summary(load_command_class(app, name).help)
    return {group: found[group] for group in GROUPS if group in found}


def summary(text: str) -> str:
    """The first statement of a command's help, without what it says after a colon or semicolon."""
    return re.split(r"[.:;](?: |$)| \(", text, maxsplit=1)[0]


def trouble_with_database(error: DatabaseError) -> str:
    """What to do about a database that is not prepared or does not answer; empty for any other error."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if re.search(r"no such (table|column)|(relation|column) .* does not exist", first):
        return f"The database is not prepared ({first}). Run: python manage.py prepare"
    if isinstance(error, OperationalError):
        return f"The database does not answer: {first}"
    return ""


class CommandLine(ManagementUtility):
    """Django's command line with a help of our own."""

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only or self.settings_exception is not None:
            return super().main_help_text(commands_only)
        columns = shutil.get_terminal_size().columns
        lines = [f"Type '{self.prog_name} help COMMAND' for what one does and takes.", ""]
        groups = commands_by_task()
        width = max(len(name) for commands in groups.values() for name in commands)
        for group, commands in groups.items():
            lines += [group]
            for name, line in commands.items():
                lines += textwrap.wrap(
                    line,
                    columns,
                    initial_indent=f"  {name:{width}}  ",
                    subsequent_indent=" " * (width + 4),
                    break_on_hyphens=False,
                )
            lines += [""]
        others: dict[str, list[str]] = defaultdict(list)
        for name, app in sorted(get_commands().items()):
            if name not in own_commands():
                others[app.rpartition(".")[2]].append(name)
        lines.append("Of Django and of the libraries")
        for app, names in sorted(others.items()):
            told = f"{app}: {', '.join(names)}"
            lines += textwrap.wrap(told, columns, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)
