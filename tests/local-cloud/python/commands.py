"""The commands of the control endpoint. Each takes and returns JSON."""

import json

import access_points
import clients
import deployment
import identity
import notices
import permissions
import published
import readback
from step_functions import plain


def run(command: str, body: dict):
    known = COMMANDS.get(command)
    if known is None:
        raise ValueError(f"unknown command {command}")
    return known(**body)


def deploy(template: str, stack: str, parameters: dict, region: str) -> dict:
    transformed = deployment.deploy(template, stack, parameters, region)
    found = readback.read(stack, region, transformed)
    permissions.deployed(found["resources"])
    return found


def adopt(stack: str, region: str) -> dict:
    """A stack that somebody else has created."""
    text = clients.client("cloudformation", region).get_template(StackName=stack)["TemplateBody"]
    found = readback.read(stack, region, text if isinstance(text, dict) else json.loads(text))
    permissions.deployed(found["resources"])
    return found


def invoke(function: str, payload, region: str, role: str | None = None) -> dict:
    answer = clients.client("lambda", region, _key(role)).invoke(FunctionName=function, Payload=json.dumps(payload).encode())
    content = answer["Payload"].read()
    return {
        "status": answer["StatusCode"],
        "function_error": answer.get("FunctionError"),
        "payload": json.loads(content) if content else None,
    }


def _key(role: str | None) -> str:
    return permissions.key_of(role) if role else "local"


def invoke_event(function: str, payload, region: str) -> dict:
    answer = clients.client("lambda", region).invoke(
        FunctionName=function, Payload=json.dumps(payload).encode(), InvocationType="Event"
    )
    return {"status": answer["StatusCode"]}


def start_execution(state_machine: str, input, region: str, name: str | None = None, role: str | None = None) -> dict:  # noqa: A002
    arguments = {"name": name} if name else {}
    answer = clients.client("stepfunctions", region, _key(role)).start_execution(
        stateMachineArn=state_machine, input=json.dumps(input), **arguments
    )
    return {"arn": answer["executionArn"]}


def describe_execution(arn: str, region: str) -> dict:
    return _execution(clients.client("stepfunctions", region).describe_execution(executionArn=arn))


def _execution(found: dict) -> dict:
    stop = found.get("stopDate")
    return {
        "arn": found["executionArn"],
        "name": found["name"],
        "status": found["status"],
        "input": json.loads(found.get("input") or "null"),
        "output": json.loads(found["output"]) if found.get("output") else None,
        "error": found.get("error"),
        "cause": found.get("cause"),
        "started_ms": int(found["startDate"].timestamp() * 1000),
        "stopped_ms": int(stop.timestamp() * 1000) if stop else None,
    }


def execution_history(arn: str, region: str) -> list:
    answer = clients.client("stepfunctions", region).get_execution_history(executionArn=arn)
    return plain(answer["events"])


def stop_execution(arn: str, cause: str, region: str) -> dict:
    clients.client("stepfunctions", region).stop_execution(executionArn=arn, error="Stopped", cause=cause)
    return {}


def list_executions(state_machine: str, region: str) -> list:
    found = clients.pages(
        "stepfunctions", region, "list_executions", "executions", stateMachineArn=state_machine
    )
    return [describe_execution(each["executionArn"], region) for each in found]


def remove_statement(role: str, sid: str, region: str) -> dict:
    permissions.remove(role, sid)
    return {}


def decisions(region: str) -> list:
    return permissions.decisions()


def published_events(region: str) -> list:
    return published.so_far()


def issuer(region: str, enabled: bool | None = None) -> dict:
    if enabled is not None:
        identity.enable(enabled)
    return identity.public()


COMMANDS = {
    "deploy": deploy,
    "adopt": adopt,
    "invoke": invoke,
    "invoke_event": invoke_event,
    "start_execution": start_execution,
    "describe_execution": describe_execution,
    "execution_history": execution_history,
    "stop_execution": stop_execution,
    "list_executions": list_executions,
    "remove_statement": remove_statement,
    "decisions": decisions,
    "published_events": published_events,
    "issuer": issuer,
    "messages": notices.all_messages,
    "schedules": readback.schedules,
    "rules": readback.rules,
    "create_access_point": access_points.create,
    "access_point_routes": access_points.routes,
}
