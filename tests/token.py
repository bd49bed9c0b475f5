"""Prints a token for guarded hosts: `token.py SUBJECT SCOPE…`, signed with JWT_VERIFICATION_KEY (HS256)."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


claims = {"sub": sys.argv[1], "exp": int(time.time()) + 3600, "scopes": sys.argv[2:]}
text = b".".join(part(json.dumps(it).encode()) for it in ({"alg": "HS256", "typ": "JWT"}, claims))
key = os.environ["JWT_VERIFICATION_KEY"].encode()
print((text + b"." + part(hmac.new(key, text, hashlib.sha256).digest())).decode())
