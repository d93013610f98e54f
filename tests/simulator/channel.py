"""The connector's end of a custom channel, written from the Standard Webhooks pages for these tests alone."""

import base64
import hashlib
import hmac
import json
import time

import requests

SECRET = "whsec_Y3VzdG9tLWNoYW5uZWwtc2hhcmVkLXNlY3JldC0wMDE="
ADA = {"id": "+15550100", "name": "Ada", "profile": {"ctype": "gold"}}


def signature(webhook_id, timestamp, body, secret=SECRET):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def say(phone, **body):
    return phone.control("POST", "phones/acme/say", body)


def post(phone, kind, data, *, webhook_id="w-1", at=None, secret=SECRET, raw=None):
    body = raw if raw is not None else json.dumps({"type": kind, "data": data}).encode()
    timestamp = str(int(time.time() if at is None else at))
    headers = {"webhook-id": webhook_id, "webhook-timestamp": timestamp}
    headers["webhook-signature"] = "v1,AAAA " + signature(webhook_id, timestamp, body, secret)
    return requests.post(f"{phone.url}/phones/acme/inbox", data=body, headers=headers, timeout=5)
