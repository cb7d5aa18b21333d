"""What a failure of the way to a service means, in words, and what to do about it."""

import re
import socket
import ssl
from http import HTTPStatus
from typing import Final

from msgspec import json

from realtime.http.url import HttpUrl

BUFFERED: Final = (
    "Something holds the response back: turn buffering and compression off for /sse/ "
    "in the proxy (nginx: proxy_buffering off; gzip off)."
)

LONGEST_ANSWER: Final = 200
"""Characters of an answer that are shown: our own are shorter, an error page is not."""

Words = tuple[str, str]
"""What failed, and what to do."""


def connection_fault(error: BaseException, url: HttpUrl, seconds: float) -> Words:
    """Why there is no connection to `url`; a `TimeoutError` is after `seconds`."""
    where = url.authority
    match error:
        case socket.gaierror():
            return (
                f"DNS does not know {url.host} ({error.strerror}).",
                "Is the name right, and known on this machine?",
            )
        case ConnectionRefusedError():
            return (
                f"Nothing listens at {where}: the connection was refused.",
                "Does the service run, or the proxy in front of it? Is the port right?",
            )
        case ssl.SSLCertVerificationError():
            return (
                f"The certificate of {where} is not trusted: {error.verify_message}.",
                "Clients refuse it as well, unless they know its authority: "
                "SSL_CERT_FILE names one to this command.",
            )
        case ssl.SSLError():
            return (
                f"There is no TLS at {where} ({error.reason or error}).",
                "Is it http:// instead of https://, or another port?",
            )
        case TimeoutError():
            return (
                f"{where} does not answer: no connection within {seconds:g} s.",
                "A firewall may drop the packets, or the address is not routed.",
            )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"Cannot connect to {where}: {reason}.", "Is the address right?"


def status_fault(
    subject: str, status: int, answer: bytes, *, location: str = "", server: str = ""
) -> Words:
    """Why `subject` was answered with `status` and the body `answer`, by what calls
    itself `server`; `location` is where it redirects to."""
    if location and 300 <= status < 400:
        what = f"{subject} was redirected ({status}) to {location}."
        return what, "Redirects are not followed: use that address itself."
    by = f" by {server}" if server else ""
    said = answer_text(answer)
    what = f"{subject} was answered with {status}{by}{': ' + said if said else ''}"
    if not what.endswith((".", "?", "!")):
        what += "."
    return what, advice_on(status)


def advice_on(status: int) -> str:
    """What to do about an answer of `status`."""
    return _ADVICE.get(status) or (
        "The proxy in front cannot reach the service, or is at fault itself."
        if status >= 500
        else "Something in front of the service refuses it: a proxy or a firewall."
    )


_ADVICE: Final[dict[int, str]] = {
    HTTPStatus.OK: (
        "Another server answers there: is it the address of the real-time service?"
    ),
    HTTPStatus.BAD_REQUEST: (
        "Something in front may have changed the request; a TLS port that is spoken to "
        "by http:// answers so, too."
    ),
    HTTPStatus.UNAUTHORIZED: (
        "The service has another SSE_AUTHENTICATION_TOKEN, or a proxy takes the header "
        "Authorization away."
    ),
    HTTPStatus.NOT_FOUND: (
        "Nothing is served at that path: is there a prefix in front of /sse/, or does "
        "the proxy not pass /sse/ on, or change it?"
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "Another server answers there, or a proxy changes the path or the method."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Ask the instances why: manage.py fleet, or /readyz of each."
    ),
}


def answer_text(answer: bytes) -> str:
    """What an answer says: the `detail` of ours, or else the text of it."""
    text = answer.decode(errors="replace")
    try:
        detail = json.decode(answer)["detail"]
    except (ValueError, TypeError, KeyError, RecursionError):
        text = re.sub(r"<[^>]*>", " ", text) if text.lstrip().startswith("<") else text
    else:
        text = detail if isinstance(detail, str) else text
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_ANSWER else text[:LONGEST_ANSWER] + "…"


def ending_fault(error: BaseException, where: str) -> Words:
    """Why a connection to `where` ended before its answer did."""
    reason = getattr(error, "strerror", None) or str(error)
    because = f": {reason}" if reason else ""
    return (
        f"{where} closed the connection{because}.",
        "The instance may have drained: try again. Or a proxy ends what lasts, or it "
        "is https:// that is spoken there.",
    )
