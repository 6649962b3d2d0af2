"""Known vulnerabilities of the packages of an environment, by PyPI's advisories (pip-audit).

    bin/audit.py SITE_PACKAGES [--strict]

A mirror that has packages alone answers 404 for every advisory: pip-audit then skips all of them and passes.
So this counts what was really asked. Ends with 1 where a vulnerability is known; with 2, under --strict,
where a package could not be asked about, which is otherwise told and no failure.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, metavar="SITE_PACKAGES")
    parser.add_argument("--strict", action="store_true", help="fail where advisories could not be asked")
    arguments = parser.parse_args()
    if not arguments.packages.is_dir():
        parser.error(f"{arguments.packages} is no folder")
    program = str(Path(sys.executable).with_name("pip-audit"))
    command = [program, "--progress-spinner", "off", "--format", "json"]
    try:
        asked = subprocess.run([*command, "--path", str(arguments.packages)], capture_output=True, text=True)
        report = json.loads(asked.stdout)
    except (OSError, ValueError) as error:
        reason = str(error)
        if isinstance(error, ValueError) and asked.stderr.strip():
            reason = asked.stderr.strip().splitlines()[-1]
        print(f"Audit: PyPI's advisories could not be asked: {reason}", file=sys.stderr)
        return 2 if arguments.strict else 0
    lines, status = judged(report, strict=arguments.strict)
    print("\n".join(lines), file=sys.stderr if status else sys.stdout)
    return status


def judged(report: dict[str, Any], *, strict: bool) -> tuple[list[str], int]:
    """What to say of pip-audit's report, and the exit status."""
    packages = report["dependencies"]
    unasked = [one["name"] for one in packages if "skip_reason" in one]
    known = [(one, flaw) for one in packages for flaw in one.get("vulns", [])]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for one, flaw in known
    ]
    lines.append(
        f"Audit: {len(packages) - len(unasked)} packages asked about, {len(known)} known vulnerabilities."
    )
    if unasked:
        shown = ", ".join(unasked[:5]) + (" …" if len(unasked) > 5 else "")
        lines.append(f"No advisories could be had for {len(unasked)} packages: {shown}")
    return lines, 1 if known else 2 if unasked and strict else 0


if __name__ == "__main__":
    sys.exit(main())
