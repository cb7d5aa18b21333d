"""NATS's decentralised accounts, just enough of them for a credentials file: what the
tool `nsc` would write."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

UNLIMITED = -1


def write_accounts(folder: Path) -> tuple[Path, Path]:
    """A server configuration that knows one operator, account and user, and the user's
    credentials file."""
    operator = _pair(nkeys.PREFIX_BYTE_OPERATOR)
    account = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
    user = _pair(nkeys.PREFIX_BYTE_USER)
    names = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"]
    storage = ["mem_storage", "disk_storage", "streams", "consumer"]
    limits = dict.fromkeys([*names, *storage], UNLIMITED)
    system = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
    operator_jwt = _jwt(operator, operator, {"type": "operator"})
    kind = {"type": "account", "limits": {**limits, "wildcards": True}}
    account_jwt = _jwt(operator, account, kind)
    # The system account may not have JetStream.
    plain = dict.fromkeys(names, UNLIMITED)
    system_jwt = _jwt(
        operator, system, {"type": "account", "limits": {**plain, "wildcards": True}}
    )
    user_limits = {"subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED}
    user_jwt = _jwt(account, user, {"type": "user", **user_limits})
    public, system_public = (p.public_key.decode() for p in (account, system))
    config = folder / "accounts.conf"
    config.write_text(
        f"operator: {operator_jwt}\n"
        "resolver: MEMORY\n"
        "resolver_preload: {\n"
        f"  {public}: {account_jwt}\n"
        f"  {system_public}: {system_jwt}\n"
        "}\n"
        f"system_account: {system_public}\n"
    )
    credentials = folder / "user.creds"
    credentials.write_text(
        "-----BEGIN NATS USER JWT-----\n"
        f"{user_jwt}\n"
        "------END NATS USER JWT------\n\n"
        "-----BEGIN USER NKEY SEED-----\n"
        f"{user.seed.decode()}\n"
        "------END USER NKEY SEED------\n"
    )
    return config, credentials


def _pair(kind: int) -> Any:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), kind))


def _jwt(issuer: Any, subject: Any, nats: dict[str, Any]) -> str:
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    claims = {
        "jti": base64.b32encode(os.urandom(16)).decode(),
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "name": nats["type"],
        "sub": subject.public_key.decode(),
        "nats": {**nats, "version": 2},
    }
    signed = f"{_encode(json.dumps(header))}.{_encode(json.dumps(claims))}"
    signature = base64.urlsafe_b64encode(issuer.sign(signed.encode()))
    return f"{signed}.{signature.decode().rstrip('=')}"


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
