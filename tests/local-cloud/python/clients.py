"""boto3 clients of this moto. One for each service, region and caller: boto3's default session is not made for threads."""

import threading

import boto3
from botocore.config import Config

ACCOUNT = "123456789012"

_endpoint = ""
_clients: dict[tuple[str, str, str], object] = {}
_lock = threading.Lock()


def connect(port: int) -> None:
    global _endpoint
    _endpoint = f"http://127.0.0.1:{port}"


def client(service: str, region: str, access_key: str = "local"):
    with _lock:
        found = _clients.get((service, region, access_key))
        if found is None:
            found = boto3.session.Session().client(
                service,
                region_name=region,
                endpoint_url=_endpoint,
                aws_access_key_id=access_key,
                aws_secret_access_key="local",
                config=Config(
                    # A task may run for 15 minutes and is never sent twice: that would be two invocations.
                    retries={"total_max_attempts": 1},
                    read_timeout=3600,
                    max_pool_connections=200,
                    s3={"addressing_style": "path"},
                ),
            )
            _clients[(service, region, access_key)] = found
        return found


def pages(service: str, region: str, operation: str, key: str, **arguments) -> list:
    """All items of a list operation."""
    paginator = client(service, region).get_paginator(operation)
    return [item for page in paginator.paginate(**arguments) for item in page.get(key, [])]
