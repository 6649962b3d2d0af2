"""The place of samples, labels and leases, the labelling page, and the frozen datasets that training reads.

It may import ``ml`` and ``jobs``; it knows no credits.
"""
