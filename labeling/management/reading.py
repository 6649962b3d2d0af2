"""What several commands do: let the serving reader read all that waits, and show how far it is."""

from tqdm import tqdm

from jobs.progress import report, watched
from labeling.models import Sample
from labeling.predictions import AT_ONCE, refresh_predictions, serving_reader
from ml.models import CaptchaType


def read_waiting(captcha_type: CaptchaType) -> int:
    """How many images the reader that serves now had not read yet, and has read."""
    reader = serving_reader(captcha_type)
    if reader is None:
        return 0
    open_ones = Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.OPEN)
    waiting = open_ones.exclude(model_version=reader.spec.name).count()
    done = 0
    with tqdm(total=waiting, unit="image", desc="reading", disable=not watched()) as bar:
        while read := refresh_predictions(captcha_type=captcha_type, limit=AT_ONCE):
            done += read
            bar.update(read)
            report(done, max(done, waiting), "images read")
    return done
