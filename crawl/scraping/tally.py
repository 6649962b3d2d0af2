"""What became of each image that was asked for, and when it is enough: of images, or of failures in a row."""

from collections import Counter

from crawl.models import CrawlRun


class Tally:
    """`kept` counts from the run's earlier starts on; drops are of this start alone."""

    def __init__(self, run: CrawlRun) -> None:
        self._wanted = run.wanted
        self._give_up_after = run.its_source.give_up_after
        self._give_up_after_duplicates = run.its_source.give_up_after_duplicates
        self.kept = run.kept
        self.duplicates = run.duplicates
        self.drops: Counter[str] = Counter()
        self._failures_in_a_row = 0
        self._duplicates_in_a_row = 0
        self.ending = ""
        self.stopped = False
        self._check()

    def add_kept(self) -> None:
        self.kept += 1
        self._failures_in_a_row = self._duplicates_in_a_row = 0
        self._check()

    def add_duplicate(self) -> None:
        self.duplicates += 1
        self._failures_in_a_row = 0
        self._duplicates_in_a_row += 1
        self._check()

    def add_drop(self, reason: str) -> None:
        self.drops[reason] += 1
        self._failures_in_a_row += 1
        self._check(reason)

    def end(self, reason: str) -> None:
        """The first reason stands."""
        self.ending = self.ending or reason

    def stop(self, reason: str) -> None:
        """End because somebody outside wants it."""
        self.stopped = True
        self.end(reason)

    def _check(self, last: str = "") -> None:
        if self.kept >= self._wanted:
            self.end("as many images as wanted")
        elif self._failures_in_a_row >= self._give_up_after:
            self.end(f"{self._failures_in_a_row} failures in a row, the last: {last}")
        elif self._duplicates_in_a_row >= self._give_up_after_duplicates:
            self.end(f"{self._duplicates_in_a_row} duplicates in a row")
