"""The call that a page just made, to be made by a program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    language: str
    text: str


def calls(base_url: str, said: Mapping[str, str]) -> list[Call]:
    """POST /api/v1/solves with these hints, in three languages; the key is for the reader to fill in."""
    url = f"{base_url}/api/v1/solves"
    fields = "".join(f" \\\n     -F {_quoted(f'{name}={value}')}" for name, value in said.items())
    curl = f'curl -sS {_quoted(url)} -H "Authorization: Api-Key $KEY" \\\n     -F image=@captcha.png{fields}'
    data = f"\n    data={json.dumps(dict(said), ensure_ascii=False)}," if said else ""
    python = (
        "import requests\n\n"
        "answer = requests.post(\n"
        f'    "{url}",\n'
        '    headers={"Authorization": f"Api-Key {KEY}"},\n'
        f'    files={{"image": open("captcha.png", "rb")}},{data}\n'
        "    timeout=10,\n"
        ").json()\n"
        'print(answer["answer"] if "answer" in answer else answer["detail"])'
    )
    appended = "".join(
        f"form.append({json.dumps(name)}, {json.dumps(value, ensure_ascii=False)});\n"
        for name, value in said.items()
    )
    javascript = (
        'import { openAsBlob } from "node:fs";\n\n'
        "const form = new FormData();\n"
        'form.append("image", await openAsBlob("captcha.png"), "captcha.png");\n'
        f"{appended}"
        f'const response = await fetch("{url}", {{\n'
        '  method: "POST", headers: { Authorization: `Api-Key ${KEY}` }, body: form,\n'
        "});\n"
        "const answer = await response.json();\n"
        "console.log(answer.answer ?? answer.detail);"
    )
    return [Call("curl", curl), Call("Python", python), Call("JavaScript", javascript)]


def _quoted(text: str) -> str:
    """For a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"
