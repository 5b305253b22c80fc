"""What the roles of the stack published to EventBridge, in order. moto takes an event that no rule wants and forgets it."""

import json
import threading

_lock = threading.Lock()
_published: list[dict] = []


def note(body: bytes) -> None:
    """Remembers the events of a request that was let through."""
    with _lock:
        for entry in json.loads(body).get("Entries", []):
            _published.append(
                {"source": entry["Source"], "name": entry["DetailType"], "detail": json.loads(entry["Detail"])}
            )


def so_far() -> list[dict]:
    """All events so far."""
    with _lock:
        return list(_published)
