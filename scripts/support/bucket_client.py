"""A small S3 client of its own: the other client of a benchmark, and its judge.

It shares no code with any program that is measured. What it fetches is what the bucket has, whatever
a mount believes.
"""

import datetime
import hashlib
import hmac
import http.client
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rig import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Broken

BLOCK = 1 << 20
AT_ONCE = 4


def keyed_hash(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def signing_key(day):
    key = f"AWS4{SECRET_KEY}".encode()
    for word in (day, REGION, "s3", "aws4_request"):
        key = keyed_hash(key, word).digest()
    return key


def signed_headers(method, host, path, extra):
    """The headers of a request without a query, with AWS's signature version 4."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now, **extra}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = keyed_hash(signing_key(now[:8]), text).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
                                f"SignedHeaders={names}, Signature={signature}")
    return headers


class BucketClient:
    """One connection to the stand-in."""

    def __init__(self, server):
        self.host = f"127.0.0.1:{server.port}"
        self.connection = http.client.HTTPConnection(self.host, timeout=120, blocksize=BLOCK)

    def request(self, method, key, body=None, extra=None):
        path = urllib.parse.quote(f"/{BUCKET}/{key}", safe="/-_.~")
        headers = signed_headers(method, self.host, path, extra or {})
        if body is not None and not isinstance(body, bytes):
            headers["content-length"] = str(Path(body.name).stat().st_size)  # else it goes in chunks
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        if answer.status != 200:
            raise Broken(f"{method} {key}: {answer.status} {answer.read()[:300]!r}")
        return answer

    def put(self, key, body, modified):
        """With the two metadata that all programs here read: as rclone and s3fs write them."""
        self.request("PUT", key, body, {"x-amz-meta-mtime": str(modified), "x-amz-meta-mode": "33188"}).read()

    def fetch(self, key, target):
        answer = self.request("GET", key)
        with open(target, "wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)


def newest(server):
    """The objects that a listing shows."""
    return [version for version in server.bucket()["versions"]
            if version["newest"] and not version["hide_marker"]]


def in_threads(server, items, action):
    """action(client, item) for all, over a few connections."""
    def share(first):
        client = BucketClient(server)
        for item in items[first::AT_ONCE]:
            action(client, item)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(share, range(AT_ONCE)))


def fetch_below(server, prefix, target):
    """Everything below `prefix`, as files in the directory `target`; keys that end in / as directories."""
    keys = [version["key"] for version in newest(server) if version["key"].startswith(prefix)]
    target.mkdir(parents=True)
    for key in keys:
        place = target / key[len(prefix):]
        (place if key.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
    files = [key for key in keys if not key.endswith("/")]
    in_threads(server, files, lambda client, key: client.fetch(key, target / key[len(prefix):]))
