"""Turns the SAM template into CloudFormation, as the SAM transform of AWS does, and creates the stack."""

import copy
import io
import json
import re
import zipfile
from pathlib import Path, PurePosixPath

import clients

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


def deploy(template_path: str, stack: str, parameters: dict, region: str) -> dict:
    """Creates the stack and returns what is needed to read it back."""
    template = transform(Path(template_path), parameters, region)
    client = clients.client("cloudformation", region)
    name = f"{stack}.template.json"
    _store(region, name, json.dumps(template).encode())
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
    return template


def transform(path: Path, parameters: dict, region: str) -> dict:
    """The CloudFormation template of a SAM template, with code and definitions that exist here."""
    from samtranslator.translator.transform import transform as sam
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse(path.read_text())
    definitions = _prepare(template, path.parent, region)
    values = {key: value["Default"] for key, value in template.get("Parameters", {}).items() if "Default" in value}
    unknown = sorted(set(parameters) - set(template.get("Parameters", {})))
    if unknown:
        raise ValueError(f"{path.name} has no parameter {', '.join(unknown)}")
    output = sam(copy.deepcopy(template), values | parameters, _Policies())
    for logical_id, text in definitions.items():
        properties = output["Resources"][logical_id]["Properties"]
        properties.pop("DefinitionS3Location")
        properties["DefinitionString"] = substituted(text, properties.pop("DefinitionSubstitutions", {}))
    # JSON removes the wrappers of the translator.
    return json.loads(json.dumps(output))


def _prepare(template: dict, folder: Path, region: str) -> dict[str, str]:
    """Points code at placeholders in S3; returns the definitions by logical id."""
    shared = template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    definitions = {}
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            code = properties.get("CodeUri", shared)
            if not isinstance(code, str):
                raise ValueError(f"function {logical_id} has no CodeUri that is a path")
            package = PurePosixPath(code).name
            _store(region, f"{package}.zip", _placeholder(package))
            properties["CodeUri"] = f"s3://{CODE_BUCKET}/{package}.zip"
        if resource["Type"] == "AWS::Serverless::StateMachine" and "DefinitionUri" in properties:
            definitions[logical_id] = (folder / properties["DefinitionUri"]).read_text()
            properties["DefinitionUri"] = f"s3://{CODE_BUCKET}/{logical_id}.asl.json"
    return definitions


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
        archive.writestr("bootstrap", f"placeholder of {package}\n")
    return content.getvalue()


def _store(region: str, key: str, content: bytes) -> None:
    s3 = clients.client("s3", "us-east-1")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=content)
