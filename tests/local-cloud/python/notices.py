"""Remembers every message published to any SNS topic, in order and with its time."""

import threading
import time

_messages: list[dict] = []
_lock = threading.Lock()


def install() -> None:
    from moto.sns.models import Topic

    publish = Topic.publish

    def remember(self, message, subject=None, *args, **kwargs):
        with _lock:
            _messages.append(
                {
                    "topic": self.arn,
                    "subject": subject,
                    "message": message,
                    "attributes": _plain(kwargs.get("message_attributes") or (args[0] if args else None)),
                    "at_ms": int(time.time() * 1000),
                }
            )
        return publish(self, message, subject, *args, **kwargs)

    Topic.publish = remember


def _plain(attributes) -> dict:
    return {key: str(value.get("Value", "")) for key, value in (attributes or {}).items() if isinstance(value, dict)}


def all_messages() -> list[dict]:
    with _lock:
        return list(_messages)
