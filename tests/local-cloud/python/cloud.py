"""The local cloud: moto in one process, with a control endpoint beside the AWS API.

Started by the Rust library, which owns this process: one line of JSON with the port goes to stdout, commands
come to `POST /_local-cloud/<command>`, and the end of stdin ends the process together with every function process
it was told about (lines `+<pid>` and `-<pid>`), so that nothing is left behind however the owner dies.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import traceback

# A laptop's own AWS settings must not reach this process, nor anything of it leave the machine.
for name in [n for n in os.environ if n.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    AWS_ACCESS_KEY_ID="local",
    AWS_SECRET_ACCESS_KEY="local",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)


def watch_owner() -> None:
    """Blocks until stdin ends, then kills what was announced and ends this process."""
    processes: set[int] = set()
    for line in sys.stdin:
        line = line.strip()
        if line[:1] == "+":
            processes.add(int(line[1:]))
        elif line[:1] == "-":
            processes.discard(int(line[1:]))
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass
    # Not at the top: importing it takes boto3, which reads what was set there.
    import functions

    functions.end()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description="moto with a control endpoint, on loopback")
    parser.add_argument("--harness", required=True, help="address of the function harness, http://127.0.0.1:PORT")
    parser.add_argument("--region", required=True, help="region of the stack")
    arguments = parser.parse_args()

    threading.Thread(target=watch_owner, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ["AWS_DEFAULT_REGION"] = arguments.region

    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, application(arguments), threaded=True, request_handler=handler())
    import clients

    clients.connect(server.server_port)
    os.environ["MOTO_PORT"] = str(server.server_port)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


def handler():
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class KeepAlive(MotoRequestHandler):
        protocol_version = "HTTP/1.1"

    return KeepAlive


def application(arguments):
    """The WSGI application: commands under /_local-cloud/, everything else is moto."""
    from moto.core.models import default_user_config
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    default_user_config["lambda"] = {"use_docker": False}
    default_user_config["stepfunctions"] = {"execute_state_machine": True}

    import access_points
    import deployment
    import functions
    import notices
    import permissions
    import policies
    import resources
    import step_functions

    deployment.install()
    functions.install(arguments.harness)
    notices.install()
    policies.install()
    resources.install(arguments.harness)
    step_functions.install()
    import commands

    aws = DomainDispatcherApplication(create_backend_app)

    def with_access_points(environ, start_response):
        concerned = access_points.concerns(environ.get("PATH_INFO", ""))
        return (access_points.answer if concerned else aws)(environ, start_response)

    moto = permissions.guard(with_access_points)

    def dispatch(environ, start_response):
        path = environ.get("PATH_INFO", "")
        if not path.startswith("/_local-cloud/"):
            return moto(environ, start_response)
        command = path.removeprefix("/_local-cloud/").replace("-", "_")
        try:
            size = int(environ.get("CONTENT_LENGTH") or 0)
            body = json.loads(environ["wsgi.input"].read(size) or b"{}")
            answer, status = commands.run(command, body), "200 OK"
        except Exception as error:  # the caller gets every failure as text
            traceback.print_exc()
            answer, status = {"error": f"{type(error).__name__}: {error}"}, "500 Internal Server Error"
        payload = json.dumps(answer, default=str).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(payload)))])
        return [payload]

    return dispatch


if __name__ == "__main__":
    main()
