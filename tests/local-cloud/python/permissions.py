"""IAM for those who call with a role of the stack: functions, the state machine, schedules.

moto's own enforcement takes SSM and SNS resources as `*` and refuses by conditions that do not hold, so this stands in front of
it. A caller's access key names its role. Each request is turned into its actions and resources, and the role's policies
(inline and attached) are evaluated with their conditions; what no statement allows is answered as AWS answers it, and never
reaches moto. Requests with other access keys belong to the tests and are let through.

What it does not do: permissions boundaries, service control policies, resource policies (moto's own are for buckets alone),
`NotAction`, `NotResource` and policy variables; a template that uses one of these is an error here. An encrypted topic needs
the key as in AWS; logs, traces and dead letters never come here, since no such request is made locally.
"""

import io
import json
import re
import threading
from fnmatch import fnmatchcase
from urllib.parse import parse_qs, unquote, unquote_plus

import account
import clients
import identity
import published

PREFIX = "role-of-"

_lock = threading.Lock()
_decisions: dict[tuple, dict] = {}
_removed: set[tuple[str, str]] = set()


class Unknown(Exception):
    """A request or a policy that this does not understand; it is refused, never let through."""


def key_of(role_arn: str) -> str:
    """The access key of a role's sessions here."""
    return PREFIX + role_arn.rsplit("/", 1)[-1]


def role_of_key(access_key: str) -> str | None:
    """The name of the role that an access key stands for."""
    return access_key.removeprefix(PREFIX) if access_key.startswith(PREFIX) else None


def remove(role: str, sid: str) -> None:
    """From now on a statement counts as removed; the role is named as in the template."""
    _removed.add((role, sid))


def decisions() -> list[dict]:
    """What was asked so far: by role, action and resource, the statements that allowed it and how often it was asked."""
    with _lock:
        return [dict(found) for found in _decisions.values()]


def guard(moto):
    """The application with the check in front of it."""

    def guarded(environ, start_response):
        signed = _signature(environ)
        role_name = role_of_key(signed[0]) if signed else None
        if role_name is None:
            action = _form(_body(environ))("Action") if signed and signed[2] == "iam" else None
            if action in identity.ADMINISTRATION:
                return identity.administer(action, start_response)
            return moto(environ, start_response)
        body = _body(environ)
        service = signed[2]
        try:
            asked = requests(service, signed[1], environ, body)
            refused = next((each for each in asked if not _allowed(role_name, *each)), None)
            why = f"is not authorized to perform: {refused[0]} on resource: {refused[1]}" if refused else None
        except Unknown as unknown:
            why = str(unknown)
            _note(role_name, "unknown", why, [])
        if why is None and asked[0][0] == identity.ACTION:
            return identity.answer(role_name, signed[1], asked[0][2], start_response)
        if why is None and asked[0][0] == account.ACTION:
            return account.answer(start_response)
        if why is None and service == "s3" and asked[0][0] == "s3:GetObject":
            return _read(moto, role_name, asked[0][1], environ, start_response)
        if why is None:
            if asked[0][0] == "events:PutEvents":
                published.note(body)
            return moto(environ, start_response)
        return _refuse(service, f"User: {role_name} {why}", environ, start_response)

    return guarded


def _read(moto, role_name: str, resource: str, environ, start_response):
    """S3 says that an object does not exist only to those who may list the bucket; to others it says 403."""
    held = []
    answer = moto(environ, lambda status, headers, *rest: held.append((status, headers)))
    status, headers = held[0]
    bucket = resource.partition("/")[0]
    if status.startswith("404") and not _allowed(role_name, "s3:ListBucket", bucket, {}):
        return _refuse("s3", f"User: {role_name} is not authorized to perform: s3:ListBucket on resource: {bucket}", environ, start_response)
    start_response(status, headers)
    return answer


def _signature(environ):
    """Access key, region and service of a signed request."""
    text = environ.get("HTTP_AUTHORIZATION", "") or unquote(environ.get("QUERY_STRING", ""))
    found = re.search(r"Credential=([^/]+)/[0-9]+/(?:([^/]+)/)?([^/]+)/aws4_request", text)
    if not found:
        return None
    # A signature for several regions (SigV4a) names them in a header instead.
    key, region, service = found.groups()
    return key, region or environ.get("HTTP_X_AMZ_REGION_SET", "*"), service


def _body(environ) -> bytes:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


# --- What is asked ----------------------------------------------------------------------------------------------


def requests(service: str, region: str, environ, body: bytes) -> list[tuple[str, str, dict]]:
    """The actions, resources and condition keys of a request."""
    if service == "s3":
        return [(*each, {}) for each in _of_s3(environ)]
    target = environ.get("HTTP_X_AMZ_TARGET", "").rsplit(".", 1)[-1]
    arn = f"arn:aws:{service}:{region}:{clients.ACCOUNT}:"
    if service == "lambda":
        if environ["PATH_INFO"].rstrip("/").endswith("/account-settings"):
            return [(account.ACTION, "*", {})]
        name = unquote(environ["PATH_INFO"]).split("/functions/")[-1].split("/")[0]
        return [("lambda:InvokeFunction", name if name.startswith("arn:") else f"{arn}function:{name}", {})]
    if service == "monitoring":
        # The operation is in the path (rpc-v2-cbor), in the target (JSON) or in the form.
        path = environ["PATH_INFO"].rsplit("/", 1)[-1]
        return [(f"cloudwatch:{path or target or _form(body)('Action')}", "*", {})]
    if service in ("sns", "iam", "sts"):
        return _of_form(service, region, _form(body))
    fields = json.loads(body or b"{}")
    if service == "ssm":
        return [(f"ssm:{target}", f"{arn}parameter/{fields['Name'].lstrip('/')}", {})]
    if service == "events":
        buses = {entry.get("EventBusName", "default") for entry in fields.get("Entries", [])}
        return [(f"events:{target}", f"{arn}event-bus/{bus}", {}) for bus in sorted(buses)]
    if service == "states":
        return [(f"states:{target}", fields.get("stateMachineArn") or fields.get("executionArn"), {})]
    raise Unknown(f"asked {service}, which the local cloud's permissions do not know")


def _of_s3(environ) -> list[tuple[str, str]]:
    point = re.fullmatch(r"/v20180820/mrap/instances/(.+)/routes", unquote(environ["PATH_INFO"]))
    if point:
        verb = {"GET": "Get", "PATCH": "Submit"}[environ["REQUEST_METHOD"]]
        return [(f"s3:{verb}MultiRegionAccessPointRoutes", point.group(1))]
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    method, arn = environ["REQUEST_METHOD"], f"arn:aws:s3:::{bucket}"
    if key:
        action = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}[method]
        if "versionId" in query:
            action += "Version"
        found = [(f"s3:{action}", f"{arn}/{key}")]
        source = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/")
        if source:
            found.append(("s3:GetObject", f"arn:aws:s3:::{source}"))
        return found
    parts = {"policy": "BucketPolicy", "versioning": "BucketVersioning", "replication": "ReplicationConfiguration"}
    part = next((name for field, name in parts.items() if field in query), None)
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method)
    if part and verb:
        return [(f"s3:{verb}{part}", arn)]
    if "location" in query:
        return [("s3:GetBucketLocation", arn)]
    if "versions" in query:
        return [("s3:ListBucketVersions", arn)]
    if method in ("GET", "HEAD"):
        return [("s3:ListBucket", arn)]
    raise Unknown(f"asked {method} {environ['PATH_INFO']} of S3, which the local cloud's permissions do not know")


def _form(body: bytes):
    fields = {key: values[0] for key, values in parse_qs(body.decode()).items()}
    return lambda name: fields.get(name)


def _of_form(service: str, region: str, field) -> list[tuple[str, str, dict]]:
    action = f"{service}:{field('Action')}"
    if service == "sns":
        topic = field("TopicArn") or field("TargetArn")
        asked = [(action, topic, {})]
        key = _key_of_topic(topic, region)
        if action == "sns:Publish" and key:
            # SNS uses the caller's permission for the topic's key.
            asked += [(f"kms:{each}", key, {}) for each in ("GenerateDataKey", "Decrypt")]
        return asked
    if service == "iam":
        role = f"arn:aws:iam::{clients.ACCOUNT}:role/{field('RoleName')}"
        return [(action, role, {"iam:PolicyARN": [field("PolicyArn")]})]
    audiences = [unquote_plus(field(f"Audience.member.{n}")) for n in range(1, 11) if field(f"Audience.member.{n}")]
    facts = {
        "sts:IdentityTokenAudience": audiences,
        "sts:DurationSeconds": [field("DurationSeconds") or "300"],
        "sts:SigningAlgorithm": [field("SigningAlgorithm")],
    }
    return [(action, "*", facts)]


def _key_of_topic(topic: str, region: str) -> str | None:
    from moto.sns.models import sns_backends

    found = sns_backends[clients.ACCOUNT][region].topics.get(topic)
    key = getattr(found, "kms_master_key_id", None)
    if not key:
        return None
    return key if key.startswith("arn:") else f"arn:aws:kms:{region}:{clients.ACCOUNT}:key/{key}"


# --- Whether it is allowed --------------------------------------------------------------------------------------


def _allowed(role_name: str, action: str, resource: str, facts: dict) -> bool:
    by, denied = [], False
    for owner, sid, statement in statements(role_name):
        if (owner, sid) in _removed or not _matches(statement, action, resource, facts):
            continue
        if statement["Effect"] == "Deny":
            denied = True
        else:
            by.append(sid)
    by = [] if denied else by
    _note(role_name, action, resource, by)
    return bool(by)


def _note(role_name: str, action: str, resource: str, by: list[str]) -> None:
    role = logical(role_name)
    with _lock:
        found = _decisions.setdefault(
            (role, action, resource, tuple(by)),
            {"role": role, "action": action, "resource": resource, "allowed_by": by, "times": 0},
        )
        found["times"] += 1


def statements(role_name: str):
    """The statements of a role: the role as the template names it, the statement's Sid, the statement."""
    from moto.iam.models import iam_backends

    role = iam_backends[clients.ACCOUNT]["aws"].get_role(role_name)
    documents = [json.loads(text) if isinstance(text, str) else text for text in role.policies.values()]
    documents += [json.loads(policy.document) for policy in role.managed_policies.values()]
    for document in documents:
        for statement in _list(document["Statement"]):
            if {"NotAction", "NotResource", "Principal"} & set(statement):
                raise Unknown(f"has a statement that the local cloud does not understand: {sorted(statement)}")
            yield logical(role_name), statement.get("Sid", "without a Sid"), statement


_logical: dict[str, str] = {}


def deployed(resources: list[dict]) -> None:
    """Remembers how the template names the roles of a stack."""
    for resource in resources:
        if resource["kind"] == "AWS::IAM::Role":
            _logical[resource["physical_id"]] = resource["logical_id"]


def logical(role_name: str) -> str:
    return _logical.get(role_name, role_name)


def _matches(statement: dict, action: str, resource: str, facts: dict) -> bool:
    return (
        any(fnmatchcase(action.lower(), each.lower()) for each in _list(statement["Action"]))
        and any(_same_arn(resource, each) for each in _list(statement["Resource"]))
        and _holds(statement.get("Condition", {}), facts)
    )


def _same_arn(resource: str, pattern: str) -> bool:
    if "${" in pattern:
        raise Unknown(f"has a resource with a variable, which the local cloud does not understand: {pattern}")
    # `*` and `?` are all that IAM knows; a bracket is a character.
    return fnmatchcase(resource, pattern.replace("[", "[[]"))


def _holds(condition: dict, facts: dict) -> bool:
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            wanted, given = [str(each) for each in _list(wanted)], facts.get(key, [])
            if operator == "ForAllValues:StringEquals":
                holds = all(each in wanted for each in given)
            elif operator == "NumericLessThanEquals":
                holds = bool(given) and all(float(each) <= float(wanted[0]) for each in given)
            elif operator in ("StringEquals", "ArnEquals"):
                holds = bool(given) and all(any(_same_arn(each, one) for one in wanted) for each in given)
            else:
                raise Unknown(f"has a condition that the local cloud does not understand: {operator} {key}")
            if not holds:
                return False
    return True


def _list(value) -> list:
    return value if isinstance(value, list) else [value]


# --- The answer -------------------------------------------------------------------------------------------------


def _refuse(service: str, message: str, environ, start_response):
    status, kind = "403 Forbidden", "application/xml"
    if service == "s3":
        text = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()
    elif service in ("sns", "iam", "sts"):
        body = (
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
            f"<Message>{message}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
        ).encode()
    else:
        status = "403 Forbidden" if service == "lambda" else "400 Bad Request"
        kind = "application/json"
        body = json.dumps({"__type": "AccessDeniedException", "message": message, "Message": message}).encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-ErrorType", "AccessDeniedException")]
    start_response(status, headers)
    return [body]
