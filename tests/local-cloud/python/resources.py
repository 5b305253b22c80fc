"""Resource types and properties that moto's CloudFormation does not know, made through moto's own API.

Each is a CloudFormation model of moto, so that references and order work as for the types that moto knows.
"""

import functools
import json
import threading

import clients
import functions

# Accepted and without any effect here: they have nothing to do in a cloud of one process.
WITHOUT_EFFECT = {"AWS::CloudFormation::WaitCondition", "AWS::CloudFormation::WaitConditionHandle"}


def install(harness: str) -> None:
    import events

    events.install()
    for kind, (name_property, create) in MODELS.items():
        _model(kind, name_property, create)
    _complete_buckets()
    _one_write_at_a_time()


def known(kind: str) -> bool:
    from moto.cloudformation.parsing import get_model_map

    return kind in get_model_map() or kind.startswith("Custom::")


_kept_alive: list[type] = []  # moto finds models through weak subclass references


def _model(kind: str, name_property: str, create) -> None:
    from moto.core.common_models import CloudFormationModel

    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        resource = cls()
        properties = cloudformation_json["Properties"]
        resource.physical_resource_id, resource.attributes = create(resource_name, properties, region_name)
        return resource

    def get_cfn_attribute(self, name):
        from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

        if name not in self.attributes:
            raise UnformattedGetAttTemplateException()
        return self.attributes[name]

    members = {
        "cloudformation_name_type": staticmethod(lambda: name_property),
        "cloudformation_type": staticmethod(lambda: kind),
        "has_cfn_attr": classmethod(lambda cls, attr: True),
        "create_from_cloudformation_json": classmethod(create_from_cloudformation_json),
        "get_cfn_attribute": get_cfn_attribute,
        "is_created": lambda self: True,
    }
    _kept_alive.append(type(kind.replace(":", ""), (CloudFormationModel,), members))


def _numbers(properties: dict, *names: str) -> dict:
    """Templates may write numbers as text."""
    return {
        key: float(value) if key == "Threshold" else int(value) if key in names else value
        for key, value in properties.items()
    }


def _flag(value) -> bool:
    return str(value).lower() == "true"


def _schedule(name, properties, region):
    wanted = {key: value for key, value in properties.items() if key != "Name"}
    target = wanted.get("Target", {})
    if "RetryPolicy" in target:
        target["RetryPolicy"] = {key: int(value) for key, value in target["RetryPolicy"].items()}
    answer = clients.client("scheduler", region).create_schedule(Name=name, **wanted)
    return name, {"Arn": answer["ScheduleArn"]}


def _schedule_group(name, properties, region):
    answer = clients.client("scheduler", region).create_schedule_group(Name=name)
    return name, {"Arn": answer["ScheduleGroupArn"]}


def _subscription(name, properties, region):
    attributes = {}
    for key in ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy"):
        if key in properties:
            value = properties[key]
            attributes[key] = value if isinstance(value, str) else json.dumps(value)
    answer = clients.client("sns", properties.get("Region", region)).subscribe(
        TopicArn=properties["TopicArn"],
        Protocol=properties["Protocol"],
        Endpoint=properties.get("Endpoint", ""),
        Attributes=attributes,
        ReturnSubscriptionArn=True,
    )
    return answer["SubscriptionArn"], {"Arn": answer["SubscriptionArn"]}


def _topic_policy(name, properties, region):
    for topic in properties["Topics"]:
        clients.client("sns", region).set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(properties["PolicyDocument"])
        )
    return name, {}


def _queue_policy(name, properties, region):
    for queue in properties["Queues"]:
        clients.client("sqs", region).set_queue_attributes(
            QueueUrl=queue, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
        )
    return name, {}


def _bucket_policy(name, properties, region):
    clients.client("s3", region).put_bucket_policy(
        Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"])
    )
    return properties["Bucket"], {}


def _alarm(name, properties, region):
    wanted = _numbers(properties, "Period", "EvaluationPeriods", "DatapointsToAlarm")
    wanted |= {"AlarmName": name}
    if "ActionsEnabled" in wanted:
        wanted["ActionsEnabled"] = _flag(wanted["ActionsEnabled"])
    client = clients.client("cloudwatch", region)
    client.put_metric_alarm(**wanted)
    found = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return name, {"Arn": found[0]["AlarmArn"]}


def _composite_alarm(name, properties, region):
    # moto keeps composite alarms, but has no call that makes one.
    from moto.cloudwatch.models import cloudwatch_backends

    alarm = cloudwatch_backends[clients.ACCOUNT][region].put_metric_alarm(
        name=name,
        namespace=None,
        metric_name=None,
        comparison_operator=None,
        evaluation_periods=None,
        period=None,
        threshold=None,
        statistic=None,
        description=properties.get("AlarmDescription"),
        dimensions=[],
        alarm_actions=properties.get("AlarmActions", []),
        rule=properties["AlarmRule"],
    )
    return name, {"Arn": alarm.alarm_arn}


def _dashboard(name, properties, region):
    # moto takes any text; CloudWatch takes JSON only.
    json.loads(properties["DashboardBody"])
    clients.client("cloudwatch", region).put_dashboard(DashboardName=name, DashboardBody=properties["DashboardBody"])
    return name, {}


def _function_url(name, properties, region):
    function = properties["TargetFunctionArn"]
    function_name = function.split(":function:")[-1].split(":")[0]
    wanted = {key: properties[key] for key in ("AuthType", "Cors", "InvokeMode") if key in properties}
    answer = clients.client("lambda", region).create_function_url_config(FunctionName=function_name, **wanted)
    # The address that works here; moto's own would lead to AWS.
    return answer["FunctionArn"], {
        "FunctionArn": answer["FunctionArn"],
        "FunctionUrl": functions.url_address(function_name),
    }


def _event_invoke_config(name, properties, region):
    wanted = _numbers(properties, "MaximumEventAgeInSeconds", "MaximumRetryAttempts")
    wanted["FunctionName"] = wanted["FunctionName"].split(":function:")[-1].split(":")[0]
    wanted.pop("Qualifier", None)  # moto knows no qualifier here
    clients.client("lambda", region).put_function_event_invoke_config(**wanted)
    return name, {}


def _alias(name, properties, region):
    wanted = {key: properties[key] for key in ("FunctionName", "FunctionVersion", "Description") if key in properties}
    answer = clients.client("lambda", region).create_alias(Name=properties["Name"], **wanted)
    return answer["AliasArn"], {"AliasArn": answer["AliasArn"]}


def _metric_filter(name, properties, region):
    wanted = {
        "logGroupName": properties["LogGroupName"],
        "filterName": name,
        "filterPattern": properties["FilterPattern"],
        "metricTransformations": [
            {key[0].lower() + key[1:]: value for key, value in each.items()}
            for each in properties["MetricTransformations"]
        ],
    }
    clients.client("logs", region).put_metric_filter(**wanted)
    return name, {}


MODELS = {
    "AWS::Scheduler::Schedule": ("Name", _schedule),
    "AWS::Scheduler::ScheduleGroup": ("Name", _schedule_group),
    "AWS::SNS::Subscription": ("", _subscription),
    "AWS::SNS::TopicPolicy": ("", _topic_policy),
    "AWS::SQS::QueuePolicy": ("", _queue_policy),
    "AWS::S3::BucketPolicy": ("", _bucket_policy),
    "AWS::CloudWatch::Alarm": ("AlarmName", _alarm),
    "AWS::CloudWatch::CompositeAlarm": ("AlarmName", _composite_alarm),
    "AWS::CloudWatch::Dashboard": ("DashboardName", _dashboard),
    "AWS::Lambda::Url": ("", _function_url),
    "AWS::Lambda::EventInvokeConfig": ("", _event_invoke_config),
    "AWS::Lambda::Alias": ("", _alias),
    "AWS::Logs::MetricFilter": ("FilterName", _metric_filter),
}


def _one_write_at_a_time() -> None:
    """Two conditional writes at once: on AWS one wins; moto checked both before it wrote either."""
    from moto.s3.responses import S3Response
    from moto.ssm.models import SimpleSystemManagerBackend

    lock = threading.RLock()
    for owner, name in (
        (S3Response, "put_object"),
        (S3Response, "delete_object"),
        (SimpleSystemManagerBackend, "put_parameter"),
    ):
        setattr(owner, name, _locked(lock, getattr(owner, name)))


def _locked(lock, function):
    @functools.wraps(function)
    def locked(*args, **kwargs):
        with lock:
            return function(*args, **kwargs)

    return locked


def _complete_buckets() -> None:
    """moto's CloudFormation sets a bucket's encryption and tags, and nothing else."""
    from moto.s3.models import FakeBucket

    create = FakeBucket.create_from_cloudformation_json

    def create_with_all(resource_name, cloudformation_json, account_id, region_name, **kwargs):
        bucket = create(resource_name, cloudformation_json, account_id, region_name, **kwargs)
        properties, client = cloudformation_json.get("Properties", {}), clients.client("s3", region_name)
        if "VersioningConfiguration" in properties:
            client.put_bucket_versioning(
                Bucket=resource_name, VersioningConfiguration=properties["VersioningConfiguration"]
            )
        if "PublicAccessBlockConfiguration" in properties:
            client.put_public_access_block(
                Bucket=resource_name,
                PublicAccessBlockConfiguration={
                    key: _flag(value) for key, value in properties["PublicAccessBlockConfiguration"].items()
                },
            )
        return bucket

    FakeBucket.create_from_cloudformation_json = staticmethod(create_with_all)
