"""Packages the SAM template, and makes CloudFormation transform it as AWS does: by the same library."""

import functools
import inspect
import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import clients
import functions

CODE_BUCKET = "local-cloud-code"
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")

# The managed policies that the SAM transform of AWS adds by itself.
_MANAGED = {
    name.rsplit("/", 1)[-1]: f"arn:aws:iam::aws:policy/{name}"
    for name in (
        "service-role/AWSLambdaBasicExecutionRole",
        "service-role/AWSLambdaVPCAccessExecutionRole",
        "service-role/AWSLambdaSQSQueueExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AWSXrayWriteOnlyAccess",
    )
}


class _Policies:
    def load(self) -> dict:
        return _MANAGED


def install() -> None:
    """CloudFormation here takes SAM templates, from this process and from the SAM command line."""
    from moto.cloudformation import responses
    from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Stack
    from moto.cloudformation.parsing import ResourceMap

    ChangeSet.apply = _apply
    Stack.has_parameters = lambda stack, others: not _differing(stack.resource_map, others)
    diff = ResourceMap.build_resource_diff

    # moto takes a parameter that was left at its default for a changed one, and updates what a condition leaves out.
    def diff_of_what_is_there(self, template, parameters=None):
        found = diff(self, template, _differing(self, parameters or {}))
        found["Modify"] = [name for name in found["Modify"] if self._parsed_resources.get(name) is not None]
        return found

    ResourceMap.build_resource_diff = diff_of_what_is_there
    fetch = responses.get_stack_from_s3_url

    # The SAM command line names the bucket by the endpoint it was given; moto reads the bucket off a host of AWS.
    def fetch_by_path(template_url, **rest):
        return fetch(f"https://s3.amazonaws.com{urlparse(template_url).path}", **rest)

    responses.get_stack_from_s3_url = fetch_by_path
    for name in ("create_stack", "create_change_set", "update_stack"):
        setattr(CloudFormationBackend, name, _transforming(getattr(CloudFormationBackend, name)))


def _differing(resource_map, parameters: dict) -> dict:
    known = {key: str(value) for key, value in resource_map.resolved_parameters.items()}
    return {key: value for key, value in parameters.items() if known.get(key) != str(value)}


def _apply(change_set) -> None:
    """moto applies change sets without conditions and outputs; this does what creating or updating the stack does."""
    stack = change_set.stack
    if change_set.change_set_type == "UPDATE":
        stack.update(change_set.template, parameters=change_set.parameters)
        return
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.resource_map = stack._create_resource_map()
    stack.create_resources()
    stack.output_map = stack._create_output_map()


def _transforming(operation):
    signature = inspect.signature(operation)

    @functools.wraps(operation)
    def transforming(*args, **kwargs):
        asked = signature.bind(*args, **kwargs)
        text = asked.arguments.get("template")
        if isinstance(text, str):
            asked.arguments["template"] = transformed(text, asked.arguments.get("parameters") or {}, asked.args[0].region_name)
        return operation(*asked.args, **asked.kwargs)

    return transforming


def transformed(text: str, parameters: dict, region: str) -> str:
    """What CloudFormation makes of a template: one of SAM is transformed, and definitions are fetched from S3."""
    from samtranslator.translator.transform import transform as sam
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse(text)
    if template.get("Transform") != "AWS::Serverless-2016-10-31":
        return text
    values = {key: value["Default"] for key, value in template.get("Parameters", {}).items() if "Default" in value}
    output = sam(template, values | parameters, _Policies())
    for resource in output["Resources"].values():
        properties = resource.get("Properties", {})
        place = properties.pop("DefinitionS3Location", None)
        if place:
            content = clients.client("s3", region).get_object(Bucket=place["Bucket"], Key=place["Key"])["Body"].read()
            properties["DefinitionString"] = substituted(content.decode(), properties.pop("DefinitionSubstitutions", {}))
    # JSON removes the wrappers of the translator.
    return json.dumps(output)


def deploy(template_path: str, stack: str, parameters: dict, region: str) -> dict:
    """Creates the stack and returns what is needed to read it back."""
    template = packaged(Path(template_path), region)
    unknown = sorted(set(parameters) - set(template.get("Parameters", {})))
    if unknown:
        raise ValueError(f"{Path(template_path).name} has no parameter {', '.join(unknown)}")
    text = json.dumps(template)
    client = clients.client("cloudformation", region)
    name = f"{stack}.template.json"
    _store(name, text.encode())
    client.create_stack(
        StackName=stack,
        TemplateURL=f"https://s3.amazonaws.com/{CODE_BUCKET}/{name}",
        Parameters=[{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        DisableRollback=True,
    )
    found = client.describe_stacks(StackName=stack)["Stacks"][0]
    if found["StackStatus"] != "CREATE_COMPLETE":
        reason = found.get("StackStatusReason", "no reason given")
        raise RuntimeError(f"stack {stack} is {found['StackStatus']}: {reason}")
    return json.loads(transformed(text, parameters, region))


def packaged(path: Path, region: str) -> dict:
    """What `sam package` makes of a template, with placeholders for the code: the harness has the binaries."""
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse(path.read_text())
    shared = template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            code = properties.get("CodeUri", shared)
            if not isinstance(code, str):
                raise ValueError(f"function {logical_id} has no CodeUri that is a path")
            package = PurePosixPath(code).name
            _store(f"{package}.zip", _placeholder(package))
            properties["CodeUri"] = f"s3://{CODE_BUCKET}/{package}.zip"
        if resource["Type"] == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            name = f"{logical_id}.asl.json"
            _store(name, (path.parent / properties["DefinitionUri"]).read_bytes())
            properties["DefinitionUri"] = f"s3://{CODE_BUCKET}/{name}"
    # JSON removes the wrappers of the reader.
    return json.loads(json.dumps(template))


def substituted(text: str, substitutions: dict):
    """What DefinitionSubstitutions mean: only the named placeholders are replaced, everything else stays."""
    parts, end = [], 0
    for match in _PLACEHOLDER.finditer(text):
        if match.group(1) in substitutions:
            parts += [text[end : match.start()], substitutions[match.group(1)]]
            end = match.end()
    return {"Fn::Join": ["", [*parts, text[end:]]]} if parts else text


def _placeholder(package: str) -> bytes:
    """Code as small as it can be: the harness runs the binary that bears the package's name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("bootstrap", functions.PLACEHOLDER + package.encode())
    return content.getvalue()


def _store(key: str, content: bytes) -> None:
    s3 = clients.client("s3", "us-east-1")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=content)
