"""The issuer of identity tokens: `sts:GetWebIdentityToken`, which moto does not know.

Tokens are signed (RS256) with a key of this process; whoever checks them gets the public key by the command `issuer`.
"""

import threading
import uuid
from datetime import datetime, timedelta, timezone
from functools import cache

import clients

ISSUER = "https://00000000-0000-4000-8000-000000000000.tokens.sts.global.api.aws"
ACTION = "sts:GetWebIdentityToken"
ADMINISTRATION = ("EnableOutboundWebIdentityFederation", "GetOutboundWebIdentityFederationInfo")

_enabled = threading.Event()
_enabled.set()


@cache
def _key():
    from joserfc.jwk import RSAKey

    return RSAKey.generate_key(2048, {"kid": "local-1", "use": "sig", "alg": "RS256"}, auto_kid=False)


def enable(enabled: bool) -> None:
    """Whether the account has outbound web identity federation."""
    _enabled.set() if enabled else _enabled.clear()


def administer(action: str, start_response):
    """What an administrator does once for the account."""
    if action == "EnableOutboundWebIdentityFederation":
        enable(True)
    result = f"<IssuerIdentifier>{ISSUER}</IssuerIdentifier>"
    if action == "GetOutboundWebIdentityFederationInfo":
        result += f"<JwtVendingEnabled>{str(_enabled.is_set()).lower()}</JwtVendingEnabled>"
    return _xml(
        start_response,
        "200 OK",
        f'<{action}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{action}Response>",
    )


def public() -> dict:
    """What a federation policy needs to know of this issuer."""
    return {"issuer": ISSUER, "jwks": {"keys": [_key().as_dict(private=False)]}}


def answer(role_name: str, region: str, facts: dict, start_response):
    """Answers the call of a role that may make it, as AWS does."""
    if not _enabled.is_set():
        return _xml(
            start_response,
            "400 Bad Request",
            "<ErrorResponse><Error><Type>Sender</Type><Code>OutboundWebIdentityFederationDisabledException</Code>"
            "<Message>Outbound web identity federation is disabled for this account</Message></Error></ErrorResponse>",
        )
    from joserfc import jwt

    now = datetime.now(timezone.utc)
    ends = now + timedelta(seconds=int(facts["sts:DurationSeconds"][0]))
    claims = {
        "iss": ISSUER,
        "aud": facts["sts:IdentityTokenAudience"],
        "sub": f"arn:aws:iam::{clients.ACCOUNT}:role/{role_name}",
        "iat": int(now.timestamp()),
        "exp": int(ends.timestamp()),
        "jti": str(uuid.uuid4()),
        "https://sts.amazonaws.com/": {"aws_account": clients.ACCOUNT, "source_region": region},
    }
    algorithm = facts["sts:SigningAlgorithm"][0]
    if algorithm != "RS256":
        raise NotImplementedError(f"the local issuer signs with RS256, not with {algorithm}")
    token = jwt.encode({"alg": algorithm, "kid": "local-1"}, claims, _key())
    return _xml(
        start_response,
        "200 OK",
        '<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetWebIdentityTokenResult>'
        f"<WebIdentityToken>{token}</WebIdentityToken><Expiration>{ends.strftime('%Y-%m-%dT%H:%M:%SZ')}</Expiration>"
        "</GetWebIdentityTokenResult><ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
        "</GetWebIdentityTokenResponse>",
    )


def _xml(start_response, status: str, text: str):
    body = text.encode()
    start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]
