"""Client of the Captcha Solving Service: an image in, its text out."""

from .clients import AsyncClient, Client
from .shapes import (
    Account,
    ApiError,
    Batch,
    BatchItem,
    Character,
    ItemError,
    Report,
    Solution,
    Solve,
    Unsolvable,
)

__all__ = [
    "Account",
    "ApiError",
    "AsyncClient",
    "Batch",
    "BatchItem",
    "Character",
    "Client",
    "ItemError",
    "Report",
    "Solution",
    "Solve",
    "Unsolvable",
]
