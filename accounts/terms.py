"""The policy that people accept when they sign up: `templates/accounts/acceptable_use.html`."""

VERSION = "2026-11-23"
"""Goes up with every change of the text; what each person accepted is kept with it."""
