"""Tests that concern the project as a whole; each app's own lie in its ``tests/``."""
