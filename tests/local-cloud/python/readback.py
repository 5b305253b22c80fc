"""Reads a deployed stack back through the AWS API: what is there, not what the template says."""

import json

import clients
import functions
import resources
from step_functions import plain


def read(stack: str, region: str, template: dict) -> dict:
    found = clients.client("cloudformation", region).describe_stack_resources(StackName=stack)["StackResources"]
    # moto lists a resource that it could not make, but without any detail.
    found = [each for each in found if each.get("LogicalResourceId")]
    physical = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in found}
    kinds = {each["LogicalResourceId"]: each["ResourceType"] for each in found}

    def of(kind: str) -> list[tuple[str, str]]:
        return sorted((logical, physical[logical]) for logical, each in kinds.items() if each == kind)

    return {
        "stack": stack,
        "region": region,
        "functions": [_function(region, *each) for each in of("AWS::Lambda::Function")],
        "schedules": schedules(region),
        "rules": rules(region),
        "state_machines": [_state_machine(region, *each) for each in of("AWS::StepFunctions::StateMachine")],
        "topics": {logical: name for logical, name in of("AWS::SNS::Topic")},
        "buckets": [_bucket(region, *each) for each in of("AWS::S3::Bucket")],
        "queues": [_queue(region, *each) for each in of("AWS::SQS::Queue")],
        "ssm_parameters": _ssm_parameters(region),
        "alarms": _alarms(region),
        "outputs": _outputs(stack, region),
        "resources": [
            {"logical_id": logical, "kind": kinds[logical], "physical_id": physical[logical]}
            for logical in sorted(kinds)
        ],
        "unsupported": _unsupported(template, kinds),
    }


def _unsupported(template: dict, created: dict) -> list[dict]:
    missing = []
    for logical, resource in sorted(template["Resources"].items()):
        kind = resource["Type"]
        if logical in created or kind in resources.WITHOUT_EFFECT:
            continue
        if not resources.known(kind):
            missing.append({"logical_id": logical, "kind": kind, "reason": "no support for this type"})
        elif "Condition" not in resource:
            missing.append({"logical_id": logical, "kind": kind, "reason": "not created"})
    return missing


def _function(region: str, logical: str, name: str) -> dict:
    client = clients.client("lambda", region)
    answer = client.get_function(FunctionName=name)
    found = answer["Configuration"]
    try:
        url = client.get_function_url_config(FunctionName=name)["AuthType"]
    except client.exceptions.ResourceNotFoundException:
        url = None
    return {
        "logical_id": logical,
        "name": found["FunctionName"],
        "arn": found["FunctionArn"],
        "package": _package(region, name),
        "handler": found.get("Handler", ""),
        "runtime": found.get("Runtime", ""),
        "architectures": found.get("Architectures", []),
        "timeout_seconds": found["Timeout"],
        "memory_mb": found["MemorySize"],
        "role": found["Role"],
        "environment": found.get("Environment", {}).get("Variables", {}),
        "dead_letter": _dead_letter(region, name),
        "reserved_concurrency": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        "url_auth": url,
    }


def _moto_function(region: str, name: str):
    from moto.awslambda.utils import get_backend

    return get_backend(clients.ACCOUNT, region).get_function(name)


def _package(region: str, name: str) -> str:
    return functions.package(_moto_function(region, name).code)


def _dead_letter(region: str, name: str):
    # boto3 would drop what moto's answer has no place for.
    return getattr(_moto_function(region, name), "kept", {}).get("DeadLetterConfig", {}).get("TargetArn")


def schedules(region: str) -> list[dict]:
    """Schedules of EventBridge Scheduler and scheduled rules, as they are now."""
    client, answer = clients.client("scheduler", region), []
    for each in clients.pages("scheduler", region, "list_schedules", "Schedules"):
        found = client.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
        target = found["Target"]
        answer.append(
            {
                "name": found["Name"],
                "arn": found["Arn"],
                "expression": found["ScheduleExpression"],
                "timezone": found.get("ScheduleExpressionTimezone", "UTC"),
                "enabled": found["State"] == "ENABLED",
                "target_arn": target["Arn"],
                "input": target.get("Input"),
                "role": target.get("RoleArn"),
                "retry_attempts": target.get("RetryPolicy", {}).get("MaximumRetryAttempts"),
                "dead_letter": target.get("DeadLetterConfig", {}).get("Arn"),
            }
        )
    for rule in rules(region):
        if not rule["expression"]:
            continue
        for target in rule["targets"]:
            answer.append(
                {
                    "name": f"{rule['name']}/{target['Id']}",
                    "arn": rule["arn"],
                    "expression": rule["expression"],
                    "timezone": "UTC",
                    "enabled": rule["enabled"],
                    "target_arn": target["Arn"],
                    "input": target.get("Input"),
                    "role": target.get("RoleArn"),
                    "retry_attempts": target.get("RetryPolicy", {}).get("MaximumRetryAttempts"),
                    "dead_letter": target.get("DeadLetterConfig", {}).get("Arn"),
                }
            )
    return answer


def rules(region: str) -> list[dict]:
    client, answer = clients.client("events", region), []
    for rule in clients.pages("events", region, "list_rules", "Rules"):
        answer.append(
            {
                "name": rule["Name"],
                "arn": rule["Arn"],
                "enabled": rule["State"] == "ENABLED",
                "expression": rule.get("ScheduleExpression"),
                "pattern": json.loads(rule["EventPattern"]) if rule.get("EventPattern") else None,
                "targets": client.list_targets_by_rule(Rule=rule["Name"])["Targets"],
            }
        )
    return answer


def _state_machine(region: str, logical: str, arn: str) -> dict:
    found = clients.client("stepfunctions", region).describe_state_machine(stateMachineArn=arn)
    return {
        "logical_id": logical,
        "name": found["name"],
        "arn": found["stateMachineArn"],
        "role": found["roleArn"],
        "definition": json.loads(found["definition"]),
    }


def _bucket(region: str, logical: str, name: str) -> dict:
    client = clients.client("s3", region)
    try:
        policy = json.loads(client.get_bucket_policy(Bucket=name)["Policy"])
    except client.exceptions.ClientError:
        policy = None
    return {
        "logical_id": logical,
        "name": name,
        "region": client.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1",
        "versioned": client.get_bucket_versioning(Bucket=name).get("Status") == "Enabled",
        "policy": policy,
    }


def _queue(region: str, logical: str, url: str) -> dict:
    attributes = clients.client("sqs", region).get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return {"logical_id": logical, "url": url, "arn": attributes["Attributes"]["QueueArn"]}


def _ssm_parameters(region: str) -> list[dict]:
    found = clients.pages("ssm", region, "describe_parameters", "Parameters")
    return [{"name": each["Name"], "kind": each["Type"]} for each in found]


def _alarms(region: str) -> list[dict]:
    found = clients.pages("cloudwatch", region, "describe_alarms", "MetricAlarms")
    return [plain({key: each[key] for key in each if key != "StateReasonData"}) for each in found]


def _outputs(stack: str, region: str) -> dict:
    found = clients.client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
