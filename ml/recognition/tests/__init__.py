"""Tests of the recognition library; they need no Django and draw their own images."""
