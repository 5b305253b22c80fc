"""The limits of the account: `lambda:GetAccountSettings`, which moto does not know. An account as AWS opens it for those who ask."""

import json

ACTION = "lambda:GetAccountSettings"
CONCURRENT = 1000
# The reservations of the stack: one capture, ten views of the page.
RESERVED = 11


def answer(start_response):
    """Answers as Lambda does."""
    limit = {"ConcurrentExecutions": CONCURRENT, "UnreservedConcurrentExecutions": CONCURRENT - RESERVED}
    body = json.dumps({"AccountLimit": limit, "AccountUsage": {}}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
