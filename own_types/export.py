"""The private types of a person, for the archive of all that is kept about them."""

import json
import zipfile

from accounts.models import User
from labeling.exporting import FORMATS, export_into
from own_types.selectors import types_of


def add_types(user: User, archive: zipfile.ZipFile) -> None:
    """Of each type a folder with all images, the table of their texts, and how well its versions read."""
    for captcha_type in types_of(user):
        folder = f"types/{captcha_type.slug}/"
        export_into(archive, captcha_type=captcha_type, folder=folder, table=FORMATS["csv"].table)
        versions = captcha_type.versions.values("version", "state", "registered_at", "spec", "metrics")
        lines = [json.dumps(row, default=str, ensure_ascii=False) + "\n" for row in versions]
        archive.writestr(f"{folder}versions.jsonl", "".join(lines))
