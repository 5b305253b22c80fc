"""Where moto's Step Functions differ from AWS in what this project relies on, and the events it does not send."""

import datetime
import json
import threading
import time
import uuid


def install() -> None:
    from moto.stepfunctions.models import StateMachine, StepFunctionBackend
    from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
    from moto.stepfunctions.parser.asl.utils import boto_client
    from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend
    from moto.stepfunctions.responses import StepFunctionResponse

    # CloudFormation would put its state machines into the backend that does not run them.
    from moto.stepfunctions import models
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    models.stepfunctions_backends = stepfunctions_parser_backends

    # Every task made its own client from boto3's default session, which is not safe in threads.
    def client_for(region, service, state_credentials=None):
        import clients
        import permissions

        # The state machine calls with its own role.
        role = getattr(state_credentials, "role_arn", None)
        return clients.client(service, region, permissions.key_of(role) if role else "local")

    boto_client.boto_client_for = client_for
    _replace_imported(boto_client_for=client_for)

    # AWS makes up a name; moto called every unnamed execution "None".
    start = StepFunctionsParserBackend.start_execution

    def start_named(self, state_machine_arn, name=None, execution_input=None, trace_header=None):
        with _start_lock:
            return start(self, state_machine_arn, name or str(uuid.uuid4()), execution_input, trace_header)

    StepFunctionsParserBackend.start_execution = start_named

    # moto drops the error and the cause that the operator gave, and fails when the execution has just begun.
    def stop_execution(self, execution_arn, error=None, cause=None):
        execution = self.describe_execution(execution_arn)
        deadline = time.monotonic() + 10
        while execution.exec_worker is None or execution.exec_worker.env is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"execution {execution_arn} did not begin within 10 seconds")
            time.sleep(0.01)
        worker = execution.exec_worker
        stopped = datetime.datetime.now(tz=datetime.timezone.utc)
        execution.stop(stop_date=stopped, error=error, cause=cause)
        if isinstance(worker.env.program_state(), ProgramStopped):
            execution.error, execution.cause = error, cause
            # On AWS the execution ends now; moto waited for the task that still runs.
            worker._execution_communication.terminated()
        return execution

    StepFunctionBackend.stop_execution = stop_execution

    def respond_stop_execution(self):
        from moto.core.responses import ActionResult

        execution = self.stepfunction_backend.stop_execution(
            self._get_param("executionArn"), self._get_param("error"), self._get_param("cause")
        )
        return ActionResult({"stopDate": execution.stop_date})

    StepFunctionResponse.stop_execution = respond_stop_execution

    # The context object holds text on AWS; moto put in a datetime, and a state that used it failed.
    details = Execution.get_start_execution_details

    def start_details(self):
        found = details(self)
        found.start_time = self.start_date.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.start_date.microsecond // 1000:03d}Z"
        return found

    Execution.get_start_execution_details = start_details

    # `!GetAtt Machine.Arn` is valid on AWS.
    has, get = StateMachine.has_cfn_attr, StateMachine.get_cfn_attribute
    StateMachine.has_cfn_attr = staticmethod(lambda attr: attr == "Arn" or has(attr))
    StateMachine.get_cfn_attribute = lambda self, name: self.arn if name == "Arn" else get(self, name)

    reflect = BaseExecutionWorkerCommunication.terminated

    def terminated(self):
        with _end_lock:
            if getattr(self.execution, "has_ended", False):
                return
            self.execution.has_ended = True
            reflect(self)
        threading.Thread(target=_status_changed, args=(self.execution,), daemon=True).start()

    BaseExecutionWorkerCommunication.terminated = terminated


_start_lock = threading.Lock()
_end_lock = threading.Lock()


def _replace_imported(**names) -> None:
    """Replaces functions in the modules that imported them by name."""
    import sys

    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("moto.stepfunctions"):
            for name, value in names.items():
                if hasattr(module, name):
                    setattr(module, name, value)


def _status_changed(execution) -> None:
    """The event that AWS sends to EventBridge when an execution ends."""
    import events

    described = execution.to_describe_output()
    milliseconds = lambda when: int(when.timestamp() * 1000) if when else None  # noqa: E731
    events.deliver(
        execution.region_name,
        source="aws.states",
        detail_type="Step Functions Execution Status Change",
        resources=[execution.exec_arn],
        detail={
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine_arn,
            "name": execution.name,
            "status": str(getattr(execution.exec_status, "value", execution.exec_status)),
            "startDate": milliseconds(execution.start_date),
            "stopDate": milliseconds(execution.stop_date),
            "input": described.get("input"),
            "inputDetails": {"included": True},
            "output": described.get("output"),
            "outputDetails": {"included": True},
            "cause": described.get("cause"),
            "error": described.get("error"),
        },
    )


def plain(value):
    """Times as ISO text, enums as their values."""
    return json.loads(json.dumps(value, default=lambda v: v.isoformat() if hasattr(v, "isoformat") else str(v)))
