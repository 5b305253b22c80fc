"""What moto leaves out of policies: conditions, and who asks."""

import re
from fnmatch import fnmatchcase

import clients
import permissions

WHO = "aws:PrincipalArn"


def caller():
    """The ARN of the role whose session asks; none for anybody else."""
    from flask import has_request_context, request
    from moto.sts.models import sts_backends

    if not has_request_context():
        return None
    signed = re.search(r"Credential=([^/,]+)/", request.headers.get("Authorization", ""))
    if signed is None:
        return None
    role = permissions.role_of_key(signed.group(1))
    if role is not None:
        return f"arn:aws:iam::{clients.ACCOUNT}:role/{role}"
    for account in sts_backends.values():
        for backend in account.values():
            session = backend.get_assumed_role_from_access_key(signed.group(1))
            if session is not None:
                return session.role_arn
    return None


def concerns(statement):
    """Whether the conditions of a statement hold for this request."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            values = values if isinstance(values, list) else [values]
            if (operator, key) == ("Bool", "aws:SecureTransport"):
                # All traffic is on loopback here and counts as TLS.
                if "true" not in [str(value).lower() for value in values]:
                    return False
            elif key == WHO and operator in ("ArnLike", "ArnEquals"):
                who = caller()
                if who is None or not any(fnmatchcase(who, value) for value in values):
                    return False
            elif key == "aws:SourceAccount" and operator == "StringEquals":
                # Only a service that asks for somebody has it, and none asks here.
                return False
            else:
                raise NotImplementedError(f"the local cloud does not know the condition {operator} {key}")
    return True


def install() -> None:
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult

    permitted = IAMPolicyStatement.is_action_permitted

    # moto refuses by a statement whose condition does not hold; in AWS such a statement is about nothing.
    def with_condition(self, *args, **kwargs):
        if "Condition" not in self._statement or kwargs.get("incoming_condition_values") is not None:
            return permitted(self, *args, **kwargs)
        if not concerns(self._statement):
            return PermissionResult.NEUTRAL
        bare = {name: value for name, value in self._statement.items() if name != "Condition"}
        return permitted(IAMPolicyStatement(bare), *args, **kwargs)

    IAMPolicyStatement.is_action_permitted = with_condition

    from moto.s3.responses import S3Response

    answered = S3Response._key_response

    # moto refuses an object without a word; S3 says why, except to a HEAD request.
    def with_code(self, request, full_url):
        response = answered(self, request, full_url)
        if response == (403, {}, "") and request.method != "HEAD":
            body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return 403, {"Content-Type": "application/xml"}, body
        return response

    S3Response._key_response = with_code
