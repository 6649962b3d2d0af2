"""``manage.py create_api_key``: a key for a user, from the command line."""

from argparse import ArgumentParser
from ipaddress import ip_network
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import api_keys
from accounts.errors import AccountError
from accounts.models import User


class Command(BaseCommand):
    help = "Make an API key for a user and print it: it is stored nowhere and not shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="user name")
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument("--scope", nargs="+", choices=api_keys.SCOPES, default=list(api_keys.SCOPES))
        parser.add_argument(
            "--allow", nargs="+", default=[], metavar="NETWORK", help="where it may be used from"
        )
        parser.add_argument("--daily-limit", type=int, metavar="CREDITS", help="what it may spend in a day")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(options["user"])
        except User.DoesNotExist:
            raise CommandError(f"There is no user {options['user']}.") from None
        if options["daily_limit"] is not None and options["daily_limit"] < 0:
            raise CommandError("A daily limit is 0 or more credits.")
        for network in options["allow"]:
            try:
                ip_network(network, strict=False)
            except ValueError as error:
                raise CommandError(f"--allow: {error}.") from None
        try:
            _, text = api_keys.create(
                user=user,
                name=options["name"][:80],
                scopes=options["scope"],
                allowed_networks=options["allow"],
                daily_limit=options["daily_limit"],
            )
        except AccountError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(text)
