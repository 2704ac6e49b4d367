"""One workload on one program: a stand-in and a mount of their own, and what each step cost."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bucket_client import fetch_below, newest
from rig import Broken, Server

QUIET_FOR = 1.0  # seconds without a request, after which nothing more is expected
LONGEST_NOISE = 30


class Unfinished(Exception):
    """A step that the later ones need did not end; its row says why."""


@dataclass
class Row:
    """What one step cost one program."""
    step: str
    program: str
    returned: float = None
    stored: float = None
    counts: dict = field(default_factory=dict)
    bytes_in: int = None
    bytes_out: int = None
    files: int = None
    objects: int = None
    versions: int = None
    hidden: int = None
    equal: str = ""
    remarks: list = field(default_factory=list)


def complaint_of(status, text, point):
    """One line that tells how a command failed."""
    lines = [line for line in text.replace(str(point), "MOUNT").splitlines() if line.strip()]
    more = f" (and {len(lines) - 1} lines)" if len(lines) > 1 else ""
    return f"exit {status}: {lines[0].strip()[:160] if lines else ''}{more}"


class Stage:
    def __init__(self, name, make_mount, b2sim, sources):
        self.name = name
        self.options = sources.options
        self.rows = []
        # Below the sources: who removes those takes along what a signal in close() has left.
        self.place = Path(tempfile.mkdtemp(prefix="stage-", dir=sources.place))
        self.server = Server(b2sim, self.place)
        self.mount = None
        self.server.start()
        try:
            self.mount = make_mount(self.place, self.server)
        except BaseException:
            self.close()
            raise

    @property
    def point(self):
        return self.mount.point

    def start(self):
        """Mounts; from here on every request may take its time."""
        if self.options.delay:
            self.server.admin("POST", "faults", {"match": {}, "times": -1,
                                                 "fault": {"delay_ms": self.options.delay}})
        self.reset()
        self.mount.mount()

    def remount(self):
        self.reset()
        self.mount.unmount()
        self.mount.mount()

    def close(self):
        if self.mount:
            self.mount.remove()
        self.server.end()
        shutil.rmtree(self.place, ignore_errors=True)

    def reset(self):
        self.server.admin("POST", "requests/reset")

    # --- one step

    def prepare(self, command):
        """A command that is not measured, stored to the last byte."""
        complaint = self.run(command)
        if complaint:
            raise Broken(f"{command[0]} to prepare it: {complaint}")
        self.mount.settle(self.options.limit)
        self.wait_until_quiet()
        self.reset()

    def measure(self, step, command, files, check):
        """Runs the command, waits until the bucket has everything, counts, then asks check(stage)
        whether it is right: the empty text if so. Requests of a mount just before count as well: what a
        program reads or checks then saves it requests later."""
        row = Row(step, self.name, files=files)
        self.rows.append(row)
        began = time.monotonic()
        finished = False
        try:
            complaint = self.run(command)
            row.remarks += [complaint] if complaint else []
            row.returned = time.monotonic() - began
            self.mount.settle(max(1, self.options.limit - row.returned))
            row.stored = time.monotonic() - began
            finished = True
        except Broken as reason:
            row.remarks.append(str(reason))
        self.count(row)
        if not finished:
            raise Unfinished
        row.equal = check(self) or "yes"
        self.reset()

    def run(self, command):
        """How the command failed, or None."""
        with tempfile.TemporaryFile("w+", errors="replace") as complaints, self.output.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints,
                                       env=dict(os.environ, LC_ALL="C"), start_new_session=True)
            try:
                status = process.wait(self.options.limit)
            except subprocess.TimeoutExpired as late:
                os.killpg(process.pid, signal.SIGKILL)
                raise Broken(f"not done after {self.options.limit} s") from late
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            complaints.seek(0)
            return complaint_of(status, complaints.read(), self.point) if status else None

    @property
    def output(self):
        """What the last command printed."""
        return self.place / "output"

    def wait_until_quiet(self):
        """Until a mount that works on after it has stored everything (old versions) is done with that."""
        total, since = None, time.monotonic()
        end = since + LONGEST_NOISE
        while time.monotonic() < min(since + QUIET_FOR, end):
            now = self.server.admin("GET", "requests")["total"]
            if now != total:
                total, since = now, time.monotonic()
            time.sleep(0.1)

    def count(self, row):
        self.wait_until_quiet()
        requests = self.server.admin("GET", "requests")
        row.counts = requests["counts"]
        row.bytes_in, row.bytes_out = requests["bytes_in"], requests["bytes_out"]
        bucket = self.server.bucket()
        row.versions = len(bucket["versions"])
        row.hidden = sum(version["hide_marker"] for version in bucket["versions"])
        row.objects = len(newest(self.server))
        if bucket["uploads"]:
            row.remarks.append(f"{len(bucket['uploads'])} unfinished uploads")

    # --- whether it is right

    def fetched(self, prefix):
        """What the bucket has below the prefix, in a directory; without the mount's help."""
        target = self.place / "fetched"
        shutil.rmtree(target, ignore_errors=True)
        fetch_below(self.server, prefix, target)
        return target

    def difference(self, expected, prefix):
        """Between a directory and the bucket below the prefix, besides which there must be nothing."""
        done = subprocess.run(["diff", "-rq", expected, self.fetched(prefix)], capture_output=True, text=True,
                              errors="replace", check=False)
        lines = done.stdout.splitlines() + done.stderr.splitlines()
        lines += [f"besides: {version['key']}" for version in newest(self.server)
                  if not version["key"].startswith(prefix)]
        return f"no: {len(lines)} differences" if lines else ""
