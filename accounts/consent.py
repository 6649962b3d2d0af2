"""Whether models may be trained on images that a person reported. They may not until the person says so."""

from accounts.models import TrainingConsent, User


def is_given(user: User) -> bool:
    return TrainingConsent.objects.filter(user=user).exists()


def give(*, user: User) -> None:
    TrainingConsent.objects.get_or_create(user=user)


def withdraw(*, user: User) -> None:
    TrainingConsent.objects.filter(user=user).delete()
