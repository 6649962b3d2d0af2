"""What an owner should make of the figures, in plain words; every sentence follows from a measured one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml.recognition.audit.forecast import percent
from ml.recognition.audit.strength import Ablation, Audit
from ml.recognition.metrics import Interval
from ml.recognition.synthesis.defences import DEFENCES

FOR_OWNERS = (
    "For owners of the captcha and people authorised to test it. Use it on no other captcha: solving other "
    "people's captchas breaks their terms and, in many places, the law."
)

_TRIES, _MORE_TRIES = 3, 10
_GONE, _WEAK, _SOME = 0.5, 0.1, 0.01
_SOLVES_AN_HOUR = 3_600_000  # ms in an hour
_CHANGES = 0.05


@dataclass(frozen=True)
class Attack:
    """The best that was measured: exact match after so many labels and minutes of training; 0 for none."""

    labels: int
    minutes: float
    exact_match: Interval

    def __str__(self) -> str:
        if not self.labels:
            return "No label and no training"
        return f"{self.labels:,} labels and {_minutes(self.minutes)} of training"


def strongest(audit: Audit) -> Attack:
    """The best reading of all that were measured; among equals the one with the fewest labels."""
    attacks = [Attack(0, 0.0, audit.untrained.hinted), Attack(0, 0.0, audit.untrained.no_hints)]
    if audit.curve is not None:
        attacks += [Attack(p.labels, p.seconds / 60, p.exact_match) for p in audit.curve.points]
    return max(attacks, key=lambda a: (a.exact_match["value"], -a.labels, -a.minutes))


def headline(audit: Audit) -> str:
    attack = strongest(audit)
    share = attack.exact_match
    return (
        f"{attack} read {percent(round(share['value'], 3))} of it "
        f"({share['correct']} of {share['n']} images, 95 % interval {share['low'] * 100:.1f} to "
        f"{share['high'] * 100:.1f} %)."
    )


def advise(audit: Audit) -> list[str]:
    """The advice, most important first."""
    attack = strongest(audit)
    advice = [_verdict(attack.exact_match), *_tries(attack.exact_match), _cost(audit, attack)]
    if audit.curve is not None and attack.labels:
        advice += _labels(audit, attack)
    if audit.ablation is not None:
        advice += _defences(audit.ablation)
    return [*advice, _what_else(attack.exact_match), _bounds()]


def _verdict(share: Interval) -> str:
    value = share["value"]
    if value >= _GONE:
        return (
            "Do not rely on it alone. Whoever wants to get through does so at the first or second try; "
            "it stops only programs that do not try to read it."
        )
    if value >= _WEAK:
        return (
            "Do not rely on it alone. It slows a program down by a few tries for each pass, which costs the "
            "program less than it costs the people who have to read it."
        )
    if value >= _SOME:
        return (
            f"It holds most tries off: about 1 in {round(1 / value):,} passes. That helps only while tries "
            "are counted and limited."
        )
    return (
        f"What was tried here does not get through it: at most {percent(round(share['high'], 3))} of the "
        "tries pass (upper end of the 95 % interval). That is no proof: see the last point."
    )


def _tries(share: Interval) -> list[str]:
    value = share["value"]
    if not 0.005 <= value <= 0.9:
        return []
    few, many = (
        percent(math.floor(1000 * (1 - (1 - value) ** tries)) / 1000) for tries in (_TRIES, _MORE_TRIES)
    )
    return [
        f"With {_TRIES} tries allowed, {few} of the sessions would pass, with {_MORE_TRIES} tries {many}. "
        "Give out a new image after every try, and few of them."
    ]


def _cost(audit: Audit, attack: Attack) -> str:
    answers = _SOLVES_AN_HOUR / max(audit.untrained.cpu_ms, 0.01)
    passes = answers * attack.exact_match["value"]
    return (
        f"An answer takes {audit.untrained.cpu_ms:.1f} ms of one processor core, so one core gives "
        f"{_about(answers)} answers and {_about(passes)} passes an hour. The price of reading is no barrier; "
        "the number of tries you allow is."
    )


def _labels(audit: Audit, attack: Attack) -> list[str]:
    """What labels add to reading without any."""
    before, after = audit.untrained.hinted["value"], attack.exact_match["value"]
    if after - before < _CHANGES:
        return []
    return [
        f"{attack.labels:,} labels raised it from {percent(round(before, 3))} to {percent(round(after, 3))}: "
        "what looks hard to a reader that never saw it is soon learned. Varying the captcha from week to "
        "week forces somebody to label anew."
    ]


def _defences(ablation: Ablation) -> list[str]:
    """Which defences cost the reader something, and which nothing."""
    plain, n = ablation.plain["value"], ablation.plain["n"]
    strong = [w for w in ablation.worth if _costs(ablation.plain, w.alone)]
    idle = [
        DEFENCES[w.defence]
        for w in ablation.worth
        if plain - w.alone["value"] < _CHANGES and not _costs(w.all_but, ablation.everything)
    ]
    advice = [
        f"Drawn captchas of this kind are read {percent(round(plain, 3))} without a defence and "
        f"{percent(round(ablation.everything['value'], 3))} with all {len(ablation.worth)} at once "
        f"(n = {n} each)."
    ]
    if strong:
        strong.sort(key=lambda worth: worth.alone["value"])
        named = "; ".join(f"{DEFENCES[w.defence]} ({_points(plain, w.alone)})" for w in strong[:3])
        advice.append(f"The defences that cost a reader without labels most, each alone: {named}.")
    else:
        advice.append("No defence alone cost the reader more than chance explains.")
    if idle:
        advice.append(
            f"These alone cost the reader nothing that {n} drawings show: {'; '.join(idle)}. They do cost "
            "the people who have to read them, so none of them is worth having by itself."
        )
    return advice


def _costs(before: Interval, after: Interval) -> bool:
    """Whether the share fell by more than chance explains, and by enough to matter."""
    return before["value"] - after["value"] >= _CHANGES and after["high"] < before["low"]


def _what_else(share: Interval) -> str:
    if share["value"] >= _SOME:
        return (
            "Put something beside it that does not depend on reading: limits on tries for each account and "
            "address, a proof-of-work that costs every try, a risk-based check (age and behaviour of the "
            "account), a confirmed e-mail address where something of value is given out."
        )
    return (
        "Limit the tries for each account and address all the same, and repeat this audit with more labels."
    )


def _bounds() -> str:
    return (
        "This is a lower bound: one small network, trained briefly. Larger ones read more, and people can be "
        "paid to read anything. What the figures say of defences holds for a reader without labels; one that "
        "was trained on labelled images of a defence is less impressed by it."
    )


def _points(plain: float, share: Interval) -> str:
    return f"−{(plain - share['value']) * 100:.0f} points, to {percent(round(share['value'], 3))}"


def _about(number: float) -> str:
    """``about 1,800,000``: two digits, since nothing here is known better."""
    if number < 1:
        return "hardly any"
    unit = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return f"about {round(number / unit) * unit:,}"


def _minutes(minutes: float) -> str:
    if minutes < 0.95:
        seconds = max(1, round(minutes * 60))
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return "1 minute" if minutes < 1.05 else f"{minutes:.2g} minutes"
