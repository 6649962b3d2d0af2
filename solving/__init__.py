"""Solving: an image in, its text out, one credit spent; the history and the API around it."""
