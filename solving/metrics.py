"""What is counted of solves, for Prometheus. No label holds what a caller wrote: few are made."""

from prometheus_client import Counter, Histogram

from ml import registry
from ml.recognition.pipeline import GENERAL
from solving.models import Solve

PRIVATE = "private"
"""In place of the name of a private type, which its owner wrote."""

SOLVES = Counter(
    "captcha_solves",
    "Captchas that were read or refused.",
    ["captcha_type", "outcome", "reason"],
)
CREDITS = Counter("captcha_credits_charged", "Credits charged for solves.")
CONFIDENCE = Histogram(
    "captcha_solve_confidence",
    "Confidence of answered solves.",
    ["captcha_type"],
    buckets=(0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0),
)
READ_SECONDS = Histogram(
    "captcha_read_seconds",
    "Time to decode and read one image.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
)


def count(solve: Solve) -> None:
    """Count a stored solve. A refusal carries no type: the one it was asked as is the caller's word."""
    solved = solve.outcome == Solve.Outcome.SOLVED
    public = solve.captcha_type == GENERAL or solve.captcha_type in registry.recognizer().readers
    name = solve.captcha_type if public else PRIVATE
    SOLVES.labels(name if solved else "", solve.outcome, solve.reason_code).inc()
    READ_SECONDS.observe(solve.elapsed_ms / 1000)
    if solved:
        CREDITS.inc(solve.charged)
        CONFIDENCE.labels(name).observe(solve.confidence or 0.0)
