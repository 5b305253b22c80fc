"""Event rules: matches events with the deployed patterns and calls the deployed targets."""

import json
import sys
import traceback
import uuid
from datetime import datetime, timezone


def install() -> None:
    """Lets PutEvents reach Lambda functions and state machines, which moto refuses."""
    from moto.events.models import Rule

    send = Rule.send_to_targets

    def send_to_targets(self, original_event, transform_input=True):
        ours = [t for t in self.targets if t["Arn"].split(":")[2] in ("lambda", "states")]
        if ours and self.state == "ENABLED" and self.event_pattern.matches_event(original_event):
            event = dict(original_event)
            if isinstance(event.get("time"), (int, float)):
                event["time"] = datetime.fromtimestamp(event["time"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            for target in ours:
                _call(self.region_name, target, event)
        others = [t for t in self.targets if t not in ours]
        if others:
            mine, self.targets = self.targets, others
            try:
                send(self, original_event, transform_input)
            finally:
                self.targets = mine

    Rule.send_to_targets = send_to_targets


def deliver(region: str, source: str, detail_type: str, resources: list, detail: dict) -> None:
    """Delivers an event of AWS itself to the rules of the default bus."""
    from moto.events.models import events_backends

    import clients

    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": clients.ACCOUNT,
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": resources,
        "detail": detail,
    }
    bus = events_backends[clients.ACCOUNT][region].event_buses["default"]
    for rule in list(bus.rules.values()):
        if rule.scheduled_expression or rule.state != "ENABLED":
            continue
        try:
            rule.send_to_targets(event)
        except Exception:
            print(f"rule {rule.name}: the event could not be delivered", file=sys.stderr)
            traceback.print_exc()


def _call(region: str, target: dict, event: dict) -> None:
    import clients

    payload = json.dumps(_input(target, event))
    if target["Arn"].split(":")[2] == "lambda":
        clients.client("lambda", region).invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload)
    else:
        clients.client("stepfunctions", region).start_execution(stateMachineArn=target["Arn"], input=payload)


def _input(target: dict, event: dict):
    from moto.events.utils import EventTemplateParser

    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        value = event
        for part in [p for p in target["InputPath"].removeprefix("$").split(".") if p]:
            value = value[part]
        return value
    transformer = target.get("InputTransformer")
    if transformer:
        return EventTemplateParser.parse(
            input_template=transformer.get("InputTemplate"),
            input_paths_map=transformer.get("InputPathsMap", {}),
            event=event,
        )
    return event
