"""Sends every Lambda invocation of moto to the harness, which runs the real function binaries.

One place serves the Invoke API, Step Functions, SNS subscriptions and event rules.
"""

import functools
import hashlib
import io
import json
import shutil
import tempfile
import threading
import urllib.request
import zipfile
from pathlib import Path

import clients

# What stands in for a package: the harness runs the binary of the package that follows.
PLACEHOLDER = b"placeholder of "

_harness = ""
_packages: dict[tuple[str, str], str] = {}
_lock = threading.Lock()


def install(harness: str) -> None:
    global _harness
    _harness = harness

    from moto.awslambda.models import LambdaFunction
    from moto.awslambda_simple.models import LambdaSimpleBackend

    LambdaSimpleBackend.invoke = _backend_invoke
    LambdaFunction.invoke = _function_invoke

    # moto's CloudFormation drops these properties; without them the read-back would not be the deployed truth.
    create, describe = LambdaFunction.create_from_cloudformation_json, LambdaFunction.get_configuration

    def create_with_all(resource_name, cloudformation_json, account_id, region_name, **kwargs):
        function = create(resource_name, cloudformation_json, account_id, region_name, **kwargs)
        properties = cloudformation_json["Properties"]
        function.kept = {key: properties[key] for key in ("DeadLetterConfig", "LoggingConfig") if key in properties}
        if "Architectures" in properties:
            function.architectures = properties["Architectures"]
        if "TracingConfig" in properties:
            function.tracing_config = properties["TracingConfig"]
        return function

    def describe_with_all(self, on_create=False):
        return describe(self, on_create) | getattr(self, "kept", {})

    LambdaFunction.create_from_cloudformation_json = staticmethod(create_with_all)
    LambdaFunction.get_configuration = describe_with_all


def _backend_invoke(self, function_name, qualifier, body, headers, response_headers):
    function = self.get_function(function_name, qualifier)
    payload = function.invoke(body, headers, response_headers)
    response_headers["Content-Length"] = str(len(payload))
    return payload


def _function_invoke(self, body, request_headers, response_headers):
    # Only a request of the API carries headers; SNS and EventBridge invoke asynchronously and send none.
    kind = request_headers.get("X-Amz-Invocation-Type", "RequestResponse") if request_headers else "Event"
    if kind == "DryRun":
        return b""
    if isinstance(body, bytes):
        body = body.decode()
    status, payload, error = _post(self, kind, body or "{}")
    if kind == "Event":
        return b""
    response_headers["X-Amz-Executed-Version"] = "$LATEST"
    if error:
        response_headers["X-Amz-Function-Error"] = error
    return payload


def _post(function, kind: str, event: str):
    invocation = {
        "function": function.function_name,
        "arn": function.function_arn,
        "package": package(function.code),
        "timeout": int(function.timeout),
        "memory": int(function.memory_size),
        "environment": {key: str(value) for key, value in function.environment_vars.items()},
        "logging": getattr(function, "kept", {}).get("LoggingConfig", {}),
        "role": function.role,
        "region": function.region,
        "type": kind,
        "event": event,
    }
    request = urllib.request.Request(
        f"{_harness}/functions/{function.function_name}/invocations",
        data=json.dumps(invocation).encode(),
        headers={"Content-Type": "application/json"},
    )
    # No proxy of the environment: this never leaves the machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=3600) as response:
        return response.status, response.read(), response.headers.get("x-function-error")


def package(code: dict) -> str:
    """The package of a function: placeholders name it, and a real one is unpacked and run from there."""
    place = (code.get("S3Bucket", ""), code.get("S3Key", ""))
    with _lock:
        if place not in _packages:
            _packages[place] = _unpacked(*place)
        return _packages[place]


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="local-cloud-packages-"))


def end() -> None:
    """Leaves no unpacked package behind."""
    if _folder.cache_info().currsize:
        shutil.rmtree(_folder(), ignore_errors=True)


def _unpacked(bucket: str, key: str) -> str:
    content = clients.client("s3", "us-east-1").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        bootstrap = archive.read("bootstrap")
    if bootstrap.startswith(PLACEHOLDER):
        return bootstrap.removeprefix(PLACEHOLDER).decode().strip()
    file = _folder() / hashlib.sha256(bootstrap).hexdigest()
    file.write_bytes(bootstrap)
    file.chmod(0o700)
    return str(file)


def url_address(function: str) -> str:
    """An address on loopback that serves the function's URL."""
    request = urllib.request.Request(f"{_harness}/function-urls/{function}", data=b"{}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        return json.load(response)["url"]
