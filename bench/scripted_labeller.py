"""A labeller that needs a person's time: it thinks, looks and strikes keys as models of the literature say.

Keystroke-level model: S. K. Card, T. P. Moran, A. Newell, The keystroke-level model for user performance time
with interactive systems, Communications of the ACM 23 (7), 1980, 396-410: a mental preparation takes 1.35 s,
a keystroke of an average skilled typist 0.20 s, one in random letters 0.50 s. Comparing a tile of the grid
with its text: Model Human Processor (the same, The Psychology of Human-Computer Interaction, 1983): an eye
movement takes 230 ms, a cognitive cycle 70 ms; two looks and one cycle for each character.

People overlook errors. How often is an assumption here (`lapses`), so the share of errors that was caught
says that the page loses none that was noticed, not how good people are.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page


@dataclass(frozen=True)
class Pace:
    """Seconds of each operator."""

    think: float = 1.35
    key: float = 0.20
    letter: float = 0.50
    look: float = 0.23
    cycle: float = 0.07

    def compare(self, text: str) -> float:
        return 2 * self.look + len(text) * self.cycle


HUMAN = Pace()
AT_ONCE = Pace(0, 0, 0, 0, 0)
"""For tests, which ask what happens and not how long it takes."""


class ScriptedLabeller:
    """Works at an open labelling page; `truth_of` gives what an assignment's image shows."""

    def __init__(
        self,
        page: Page,
        truth_of: Callable[[str], str],
        *,
        pace: Pace = HUMAN,
        lapses: float = 0.0,
        chance: random.Random | None = None,
    ) -> None:
        self.page, self.truth_of, self.pace, self.lapses = page, truth_of, pace, lapses
        self.chance = chance or random.Random(1)
        self.keys = 0
        self.own_seconds = 0.0
        self._due = 0.0

    def open(self, address: str, mode: str) -> None:
        self.page.goto(f"{address}?mode={mode}")
        self.page.wait_for_selector("#stage img, .tile, #state[data-state=empty]")

    def type_images(self, most: int, enough: Callable[[], bool] = lambda: False) -> int:
        """Type or verify, whatever the field holds, until nothing is left; how many images it were."""
        for done in range(most):
            if enough() or not self._one():
                return done
        return most

    def accept_pages(self) -> int:
        """Accept pages of the grid until none is left; how many tiles it were."""
        accepted = 0
        while tiles := self._tiles():
            accepted += tiles
        return accepted

    def all_saved(self) -> None:
        self.page.wait_for_selector("xpath=//*[@id='waiting'][text()='0']", timeout=60_000)

    def _one(self) -> bool:
        self.page.wait_for_selector("#stage img, #state[data-state=empty]")
        shown = self.page.evaluate("document.querySelector('#stage img')?.src")
        if shown is None:
            return False
        self._due = time.monotonic()
        truth = self.truth_of(shown.rsplit("/", 1)[1])
        present = self.page.input_value("#text")
        self._wait(self.pace.think)
        if not present:
            self._type(truth)
        elif present != truth and self.chance.random() >= self.lapses:
            self._press("Escape")
            self._type(truth)
        self._press("Enter")
        self.page.wait_for_function(
            "before => document.querySelector('#stage img')?.src !== before", arg=shown, polling="raf"
        )
        return True

    def _tiles(self) -> int:
        """One page of the grid; 0 when there is none."""
        self.page.wait_for_selector(".tile, #state[data-state=empty]")
        tiles = self.page.eval_on_selector_all(
            ".tile", "all => all.map(one => [one.querySelector('img').src, one.querySelector('input').value])"
        )
        if not tiles:
            return 0
        self._due = time.monotonic()
        self._wait(self.pace.think)
        place = 0
        for number, (source, present) in enumerate(tiles):
            truth = self.truth_of(source.rsplit("/", 1)[1])
            self._wait(self.pace.compare(truth))
            if present == truth or self.chance.random() < self.lapses:
                continue
            for _ in range(number - place):
                self._press("ArrowDown")
            place = number
            self._type(truth)
        self._press("Enter")
        self.page.wait_for_function(
            "before => document.querySelector('.tile img')?.src !== before", arg=tiles[0][0], polling="raf"
        )
        return len(tiles)

    def _type(self, text: str) -> None:
        for character in text:
            self._wait(self.pace.letter)
            self.page.keyboard.press(character)
            self.keys += 1

    def _press(self, key: str) -> None:
        self._wait(self.pace.key)
        self.page.keyboard.press(key)
        self.keys += 1

    def _wait(self, seconds: float) -> None:
        """Until the person is so far; what the driver takes for a key is not added to their time."""
        self.own_seconds += seconds
        self._due += seconds
        late = self._due - time.monotonic()
        if late > 0:
            self.page.wait_for_timeout(late * 1000)
