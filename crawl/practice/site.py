"""What the practice site answers: captchas in several ways, a form that checks them, and all that goes wrong.

Each way of showing a captcha is one that real sites have: a page behind a consent form with view state, one
address whose picture is another at every visit, JSON, `data:` images, a refresh button. A page says what its
captcha shows, so that nobody has to label: this is a site for practice.
"""

import base64
import gzip
import hashlib
import hmac
import html
import json
import secrets
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from crawl.practice.styles import STYLES

COOKIE = "practice"
MAX_SESSIONS = 10_000
MAX_LOG = 20_000
WAYS = ("constant", "consent", "json", "data", "refresh", "forbidden")
PARADE = (
    "fine", "html", "html-as-png", "gone", "redirects", "bomb", "huge", "cut", "empty", "dot", "gone"
)  # fmt: skip
"""What one address answers at its visits, in turn: all that can be wrong with an answer."""
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP6DwABBQECz6AuzQAAAABJRU5ErkJggg=="
)
"""One pixel, as counters of visits use it."""
ROBOTS = {
    "usual": "User-agent: *\nDisallow: /forbidden/\n",
    "closed": "User-agent: *\nDisallow: /\n",
    "slow": "User-agent: *\nCrawl-delay: 2\n",
    "failing": None,
}


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    cookies: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Answer:
    """`drip`: seconds between two bytes of the body; the server sends them one by one."""

    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    drip: float = 0.0


@dataclass(frozen=True)
class Challenge:
    key: str
    style: str
    text: str
    answer: str
    image: bytes


@dataclass
class Session:
    key: str
    consented: bool = False
    challenges: OrderedDict[str, Challenge] = field(default_factory=OrderedDict)

    @property
    def latest(self) -> Challenge | None:
        return next(reversed(self.challenges.values()), None)


class PracticeSite:
    """`respond` is called by several threads at once."""

    def __init__(self, seed: int = 0, robots: str = "usual") -> None:
        self._seed = seed
        self._robots = ROBOTS[robots]
        self._secret = hashlib.sha256(f"practice {seed}".encode()).digest()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._numbers: Counter[str] = Counter()
        self._visits: Counter[str] = Counter()
        self._forms: Counter[str] = Counter()
        self._log: deque[dict[str, object]] = deque(maxlen=MAX_LOG)
        self._lock = threading.Lock()

    def respond(self, request: Request, user_agent: str) -> Answer:
        with self._lock:
            self._log.append({"time": time.time(), "target": request.target, "user_agent": user_agent})
            session = self._session(request)
        answer = self._route(request, session)
        cookie = f"{COOKIE}={session.key}; Path=/; HttpOnly; SameSite=Lax"
        return Answer(
            answer.body,
            answer.content_type,
            answer.status,
            {"Set-Cookie": cookie, **answer.headers},
            answer.drip,
        )

    def _session(self, request: Request) -> Session:
        key = request.cookies.get(COOKIE, "")
        session = self._sessions.get(key)
        if session is None:
            session = Session(secrets.token_urlsafe(12))
            self._sessions[session.key] = session
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def _route(self, request: Request, session: Session) -> Answer:
        parts = request.path.strip("/").split("/")
        fixed: dict[str, Callable[[], Answer]] = {
            "/": self._index,
            "/robots.txt": self._robots_txt,
            "/log.json": lambda: _json({"requests": list(self._log)}),
            "/results.json": lambda: _json(dict(self._forms)),
        }
        if request.path in fixed:
            return fixed[request.path]()
        if parts[0] == "hostile" and len(parts) > 1:
            return self._hostile(parts[1], request, session)
        if len(parts) < 2 or parts[0] not in WAYS or parts[1] not in STYLES:
            return _page("Not found", "<p>There is nothing here.</p>", status=404)
        way, style, rest = parts[0], parts[1], "/".join(parts[2:])
        if rest == "check" and request.method == "POST":
            return self._check(way, style, session, request.form)
        if rest == "image.png":
            return _image(session.challenges.get(request.query.get("id", "")))
        return self._way(way, style, rest, session, request)

    def _way(self, way: str, style: str, rest: str, session: Session, request: Request) -> Answer:
        match way, rest:
            case (("constant" | "forbidden"), "captcha.png"):
                return _image(self._challenge(style, session))
            case (("constant" | "forbidden"), "answer.json"):
                return _json(_truth(session.latest))
            case "constant", "":
                return _form_page(way, style, f"/constant/{style}/captcha.png")
            case "consent", "":
                return self._consent(style, session, request)
            case "json", "new":
                shown = self._challenge(style, session)
                return _json(
                    {"captcha": {"image": f"/json/{style}/image.png?id={shown.key}"} | _truth(shown)}
                )
            case "json", "inline":
                shown = self._challenge(style, session)
                return _json({"captcha": {"image": base64.b64encode(shown.image).decode()} | _truth(shown)})
            case "data", "":
                shown = self._challenge(style, session)
                source = f"data:image/png;base64,{base64.b64encode(shown.image).decode()}"
                return _form_page(way, style, source, shown)
            case "refresh", ("" | "next"):
                shown = self._challenge(style, session)
                return _form_page(
                    way,
                    style,
                    f"image.png?id={shown.key}",
                    shown,
                    more='<a id="refresh" href="next">Another</a>',
                )
        return _page("Not found", "<p>There is nothing here.</p>", status=404)

    def _consent(self, style: str, session: Session, request: Request) -> Answer:
        """As ASP.NET does it: a hidden field carries the state of the page, signed, for this session."""
        if request.method == "POST":
            stated = request.form.get("__VIEWSTATE", "")
            if not hmac.compare_digest(stated.encode(), self._view_state(session).encode()):
                return _page("Server error", "<p>Validation of viewstate MAC failed.</p>", status=500)
            session.consented = session.consented or "ctl00$agree" in request.form
            return Answer(status=302, headers={"Location": f"/consent/{style}/"})
        if not session.consented:
            return _page(
                "Conditions",
                f'<form method="post" action="./" id="aspnetForm">'
                f'<input type="hidden" name="__VIEWSTATE" value="{self._view_state(session)}">'
                '<input type="hidden" name="__EVENTTARGET" value="">'
                '<input type="submit" name="ctl00$decline" value="I do not agree">'
                '<input type="submit" name="ctl00$agree" value="I agree"></form>',
            )
        shown = self._challenge(style, session)
        return _form_page("consent", style, f"image.png?id={shown.key}", shown)

    def _view_state(self, session: Session) -> str:
        digest = hmac.digest(self._secret, session.key.encode(), "sha256")
        return base64.b64encode(digest * 4).decode()

    def _challenge(self, style: str, session: Session) -> Challenge:
        with self._lock:
            number = self._numbers[style]
            self._numbers[style] += 1
        digest = hashlib.sha256(f"{self._seed} {style} {number}".encode())
        seed = int.from_bytes(digest.digest()[:7], "big")
        chosen = STYLES[style]
        text = chosen.text(seed)
        shown = Challenge(digest.hexdigest()[:16], style, text, chosen.answer(text), chosen.draw(text, seed))
        session.challenges[shown.key] = shown
        while len(session.challenges) > 8:
            session.challenges.popitem(last=False)
        return shown

    def _check(self, way: str, style: str, session: Session, form: Mapping[str, str]) -> Answer:
        """A challenge is good for one try."""
        key = form.get("id") or (session.latest.key if session.latest else "")
        shown = session.challenges.pop(key, None)
        given = form.get("answer", "").strip()
        accepted = shown is not None and given.upper() == shown.answer.upper()
        with self._lock:
            self._forms[f"{way}/{style}/{'accepted' if accepted else 'refused'}"] += 1
        title = "Accepted" if accepted else "Refused"
        back = f'<p id="outcome">{title}</p><p><a href="/{way}/{style}/">Again</a></p>'
        return _page(title, back, status=200 if accepted else 422)

    def _index(self) -> Answer:
        links = "".join(
            f'<li><a href="/{way}/{style}/{end}">{way}: {html.escape(STYLES[style].title)}</a></li>'
            for way, end in [
                ("consent", ""),
                ("constant", ""),
                ("data", ""),
                ("refresh", ""),
                ("json", "new"),
            ]
            for style in STYLES
        )
        return _page("Practice site", f"<ul>{links}</ul>")

    def _robots_txt(self) -> Answer:
        if self._robots is None:
            return Answer(b"out of order", "text/plain", 503)
        return Answer(self._robots.encode(), "text/plain")

    def _hostile(self, mode: str, request: Request, session: Session) -> Answer:
        with self._lock:
            self._visits[mode] += 1
            visit = self._visits[mode]
        if mode == "parade":
            mode = PARADE[(visit - 1) % len(PARADE)]
        match mode:
            case "html":
                return _page("Log in", "<p>Please log in first.</p>")
            case "html-as-png":
                return Answer(b"<!doctype html><p>Please log in first.", "image/png")
            case "nothing":
                return _page("Empty", '<p>No picture today.</p><img id="broken" src="">')
            case "gone":
                return _page("Not found", "", status=404)
            case "busy" if visit % 2:  # every second visit is served
                return Answer(b"slow down", "text/plain", 429, {"Retry-After": "2"})
            case "closed-for-hours":
                return Answer(b"slow down", "text/plain", 429, {"Retry-After": "7200"})
            case "down":
                return Answer(b"out of order", "text/plain", 503)
            case "redirects":
                return Answer(status=302, headers={"Location": f"/hostile/redirects?{visit}"})
            case "to":  # wherever the visitor is sent
                return Answer(status=302, headers={"Location": request.query.get("url", "/")})
            case "bomb":
                return Answer(_bomb(), "image/png", headers={"Content-Encoding": "gzip"})
            case "empty":
                return Answer(b"", "image/png")
            case "dot":
                return _png(DOT)
            case "same":
                return _png(STYLES["sums"].draw("1+1=?", 1))
        image = self._challenge("sums", session).image
        match mode:
            case "fine" | "busy":
                return _png(image)
            case "drip":
                return Answer(image, "image/png", drip=1.0)
            case "huge":
                return Answer(image + bytes(8 * 1024 * 1024), "image/png")
            case "cut":
                return Answer(image[: len(image) // 2], "image/png")
        return _page("Not found", "", status=404)


def _truth(challenge: Challenge | None) -> dict[str, str]:
    return {"text": challenge.text if challenge else ""}


def _image(challenge: Challenge | None) -> Answer:
    return _png(challenge.image) if challenge else _page("Forbidden", "<p>No such picture.</p>", status=403)


def _png(image: bytes) -> Answer:
    return Answer(image, "image/png", headers={"Cache-Control": "no-store"})


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), "application/json")


def _form_page(way: str, style: str, source: str, shown: Challenge | None = None, more: str = "") -> Answer:
    truth = f' data-text="{html.escape(shown.text)}"' if shown else ""
    key = f'<input type="hidden" name="id" value="{shown.key}">' if shown else ""
    return _page(
        STYLES[style].title,
        f'<p><img id="captcha" src="{html.escape(source)}" alt="captcha"{truth}> {more}</p>'
        f'<form method="post" action="/{way}/{style}/check" id="form">{key}'
        '<label>What does it show? <input name="answer" autocomplete="off"></label>'
        '<button type="submit">Send</button></form>',
    )


def _page(title: str, body: str, status: int = 200) -> Answer:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
    return Answer(text.encode(), status=status)


def _bomb() -> bytes:
    """64 MiB of nothing in 64 KiB."""
    return gzip.compress(bytes(64 * 1024 * 1024))
