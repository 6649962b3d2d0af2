"""What private types that serve cost a web process: at its start, and once all their owners have solved.

.venv-dev/bin/python -m bench.private_readers [--types 50]

Copies of the shipped general reader stand for readers of as many customers.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from bench.labelling_page import Service

STEPS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--types", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Service(Path(folder))  # its database; nothing is served
        from django.core.management import call_command

        from ml import registry

        call_command("install_models", verbosity=0)
        measure()
        for step in range(1, STEPS + 1):
            number = options.types * step // STEPS
            add_readers(number)
            registry.reset()
            print(f"{number} private types: {measure()}")


def measure() -> str:
    from ml import registry
    from ml.models import CaptchaType

    before, started = resident(), time.perf_counter()
    registry.recognizer()
    told = f"ready after {time.perf_counter() - started:.2f} s ({resident() - before:+.0f} MiB)"
    owners = CaptchaType.objects.filter(owner__isnull=False).values_list("owner_id", "slug")
    before, started = resident(), time.perf_counter()
    for owner, slug in owners:
        registry.recognizer(owner).readers[slug]
    each = (time.perf_counter() - started) / max(1, len(owners))
    return (
        f"{told}; all opened {resident() - before:+.0f} MiB, {each * 1000:.0f} ms each; {resident():.0f} MiB"
    )


def resident() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def add_readers(number: int) -> None:
    """Serving readers of so many customers in all, each a copy with its own name."""
    from django.conf import settings

    from accounts.models import User
    from ml.models import CaptchaType, ModelVersion
    from ml.recognition.artifacts import write_checksums
    from ml.services import register_version

    source = ModelVersion.objects.get(slug="general", state="serving").path
    for place in range(CaptchaType.objects.filter(owner__isnull=False).count(), number):
        user = User.objects.create(username=f"user{place}", email=f"user{place}@example.org")
        slug = f"u{user.pk}_gate"
        CaptchaType.objects.create(slug=slug, title="Gate", owner=user)
        folder = Path(settings.ARTIFACTS_ROOT) / slug / "1"
        shutil.copytree(source, folder)
        spec = json.loads((folder / "spec.json").read_text()) | {"slug": slug, "version": 1}
        (folder / "spec.json").write_text(json.dumps(spec))
        write_checksums(folder)
        version = register_version(folder=folder)
        ModelVersion.objects.filter(pk=version.pk).update(state="serving")


if __name__ == "__main__":
    main()
