"""The example commands of ``/info``, which work as printed, one after the other."""

from dataclasses import dataclass

TOKEN_OF_ANSWER = r"""sed 's/.*"access_token": *"\([^"]*\)".*/\1/'"""  # noqa: S105 (a command, no secret)
ID_OF_ANSWER = r"""sed 's/.*"id": *\([0-9]*\).*/\1/'"""


@dataclass(frozen=True)
class Example:
    title: str
    command: str


def examples(*, base_url: str, sample_url: str, demo: bool, otp: bool) -> list[Example]:
    """The commands for the service at ``base_url``, with the demo users' names where these may exist.

    ``otp``: whether admins log in with the code of a second factor.
    """
    user, password = ("test", "test") if demo else ("YOUR_NAME", "YOUR_PASSWORD")
    admin, admin_password = ("admin", "admin") if demo else ("ADMIN_NAME", "ADMIN_PASSWORD")
    code = " -F 'otp=CODE_OF_YOUR_APP'" if otp else ""
    bearer = '-H "Authorization: Bearer $TOKEN"'
    admin_bearer = '-H "Authorization: Bearer $ADMIN_TOKEN"'
    json = "-H 'Content-Type: application/json'"
    return [
        Example(
            "Get a token, valid for a day",
            f"TOKEN=$(curl -sS '{base_url}/get_token' -F 'username={user}' -F 'password={password}' "
            f"| {TOKEN_OF_ANSWER})",
        ),
        Example(
            "Solve a captcha: one credit",
            f"curl -sS -o captcha.png '{sample_url}'\n"
            f"curl -sS '{base_url}/upload_captcha' {bearer} -F 'captcha_image=@captcha.png'",
        ),
        Example(
            "See your account and its balance",
            f"curl -sS -X POST '{base_url}/get_account_info' {bearer}",
        ),
        Example(
            "Add a user, who gets some credits to begin with",
            f"USER_ID=$(curl -sS '{base_url}/add_user' {json} "
            """-d '{"username": "ada", "email": "ada@example.com", "password": "difference-engine-2"}' """
            f"| {ID_OF_ANSWER})",
        ),
        Example(
            "Get a token of an admin, for the two commands below",
            f"ADMIN_TOKEN=$(curl -sS '{base_url}/get_token' -F 'username={admin}' "
            f"-F 'password={admin_password}'{code} | {TOKEN_OF_ANSWER})",
        ),
        Example(
            "Add credits, or take them with a negative amount (admins only)",
            f"curl -sS '{base_url}/add_credit_balance' {admin_bearer} {json} "
            """-d '{"user_id": '"$USER_ID"', "credit_amount": 100}'""",
        ),
        Example(
            "Delete a user (admins only)",
            f"""curl -sS -X POST "{base_url}/delete_user?delete_user_id=$USER_ID" {admin_bearer}""",
        ),
    ]
