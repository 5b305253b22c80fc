"""Routes of S3 Multi-Region Access Points, which moto does not know. Read and changed as AWS documents it:

GET and PATCH /v20180820/mrap/instances/<arn>/routes, by a control endpoint in one of five regions.
"""

import re
import threading
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import clients

CONTROL_REGIONS = {"us-east-1", "us-west-2", "ap-southeast-2", "ap-northeast-1", "eu-west-1"}
_PATH = re.compile(r"/v20180820/mrap/instances/(arn:.+)/routes")

_points: dict[str, dict[str, dict]] = {}
_lock = threading.Lock()


def create(arn: str, routes: list, region: str) -> dict:
    """Routes: bucket, region, dial."""
    with _lock:
        _points[arn] = {route["bucket"]: route for route in routes}
    return {}


def routes(arn: str, region: str) -> list:
    with _lock:
        return [dict(route) for route in _points.get(arn, {}).values()]


def concerns(path: str) -> bool:
    return _PATH.fullmatch(path) is not None


def answer(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size)
    status, xml = _answer(environ, _PATH.fullmatch(environ["PATH_INFO"]).group(1), body)
    payload = f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(payload)))])
    return [payload]


def _answer(environ, arn: str, body: bytes) -> tuple[str, str]:
    signed = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None or signed.group(1) not in CONTROL_REGIONS:
        return _error("400 Bad Request", "InvalidRequest", "routes are controlled from five regions only")
    account = environ.get("HTTP_X_AMZ_ACCOUNT_ID")
    with _lock:
        point = _points.get(arn)
        if point is None or account != clients.ACCOUNT:
            return _error("404 Not Found", "NoSuchMultiRegionAccessPoint", "there is no such access point")
        if environ["REQUEST_METHOD"] == "GET":
            return "200 OK", _listed(arn, point)
        if environ["REQUEST_METHOD"] != "PATCH":
            return _error("405 Method Not Allowed", "MethodNotAllowed", "GET reads, PATCH changes")
        return _change(point, ElementTree.fromstring(body))


def _change(point: dict, document) -> tuple[str, str]:
    changed = {bucket: dict(route) for bucket, route in point.items()}
    updates = [each for each in document.iter() if _name(each) == "Route"]
    for update in updates:
        said = {_name(field): field.text for field in update}
        route = changed.get(said.get("Bucket"))
        dial = int(said["TrafficDialPercentage"])
        if route is None or route["region"] != said.get("Region", route["region"]) or dial not in (0, 100):
            return _error("400 Bad Request", "InvalidRequest", f"no such route: {said}")
        route["dial"] = dial
    if not updates or all(route["dial"] == 0 for route in changed.values()):
        return _error("400 Bad Request", "InvalidRequest", "at least one route must be active")
    point.clear()
    point.update(changed)
    return "200 OK", "<SubmitMultiRegionAccessPointRoutesResult/>"


def _listed(arn: str, point: dict) -> str:
    listed = "".join(
        f"<Route><Bucket>{escape(route['bucket'])}</Bucket><Region>{escape(route['region'])}</Region>"
        f"<TrafficDialPercentage>{route['dial']}</TrafficDialPercentage></Route>"
        for route in point.values()
    )
    name = "GetMultiRegionAccessPointRoutesResult"
    return f"<{name}><Mrap>{escape(arn)}</Mrap><Routes>{listed}</Routes></{name}>"


def _name(element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _error(status: str, code: str, message: str) -> tuple[str, str]:
    return status, f"<ErrorResponse><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
