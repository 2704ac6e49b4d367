"""The programs that scripts/bench/requests compares: how each is mounted, awaited and unmounted.

Each is set up as its documentation recommends for S3 and for B2, with its usual caches and with nothing
that would show less than the truth (no --no-modtime, no --use-server-modtime): a second client's view of
names, sizes and times must be right in all of them.
"""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from rig import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Broken, Mount, wait_for

NEWEST_RCLONE = "v1.76.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spillway-dev"


class Missing(Exception):
    """A program that is not on this machine, and how to get it."""


def first_line_of(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def from_debian(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed: scripts/install-deps bench")
    return found


def from_go_proxy():
    """The newest rclone, built once into the cache as scripts/real-s3 does with its server."""
    place = CACHE / f"rclone-{NEWEST_RCLONE}"
    program = place / "rclone"
    if not program.exists():
        go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
        if not go:
            raise Missing("no Go on this machine (Debian's is too old for it)")
        print(f"building rclone {NEWEST_RCLONE}", flush=True)
        done = subprocess.run([go, "install", f"github.com/rclone/rclone@{NEWEST_RCLONE}"],
                              env=dict(os.environ, GOBIN=str(place)), stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise Missing(f"rclone {NEWEST_RCLONE} can't be built: {done.stderr.strip()[-200:]}")
    return str(program)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(more):
    """Without what the user set for other S3 clients: rclone 1.60 fails to start with an AWS_CA_BUNDLE."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS", "RCLONE_"))}
    return kept | more


class SpillwayMount:
    def __init__(self, program, place, server):
        self.mount_ = Mount(program, server.endpoint, place, "mount", [])
        self.point = self.mount_.point
        self.description = f"{first_line_of(program, '--version')}, default options"

    def mount(self):
        self.mount_.start()

    def settle(self, limit):
        wait_for(lambda: self.mount_.attribute("", "pending_files") == "0", limit, "everything stored")

    def unmount(self):
        self.mount_.unmount()

    def remove(self):
        self.mount_.remove()


class ForegroundMount:
    """A program that stays a child of this script while it serves its mountpoint."""

    def __init__(self, place):
        self.place = place
        self.point = place / "mount"
        self.point.mkdir()
        self.log = place / "mount.log"
        self.process = None

    def command(self):
        """The command line and its additional environment."""
        raise NotImplementedError

    def mount(self):
        command, environment = self.command()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=clean_environment(environment), start_new_session=True)
        wait_for(self.is_up, 30, f"{command[0]} mounted")

    def is_up(self):
        if self.process.poll() is not None:
            raise Broken(f"{self.process.args[0]} ended with {self.process.returncode}: "
                         f"{self.log.read_text(errors='replace')[-300:]}")
        return os.path.ismount(self.point)

    def settle(self, limit):
        """Nothing to wait for where close() waits."""

    def unmount(self):
        # A program may still hold a file for a moment after its last writer has closed it.
        wait_for(lambda: subprocess.run(["fusermount3", "-u", self.point], capture_output=True,
                                        check=False).returncode == 0, 30, f"unmount of {self.point}")
        self.process.wait(60)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        subprocess.run(["fusermount3", "-u", "-z", self.point], capture_output=True, check=False)


class S3fsMount(ForegroundMount):
    def __init__(self, program, place, server):
        super().__init__(place)
        self.program = program
        self.endpoint = server.endpoint
        self.passwords = place / "passwd-s3fs"
        self.passwords.write_text(f"{ACCESS_KEY}:{SECRET_KEY}\n")
        self.passwords.chmod(0o600)
        self.description = (f"{first_line_of(program, '--version')}; use_path_request_style, use_cache, "
                            "enable_noobj_cache")

    def command(self):
        options = [
            f"passwd_file={self.passwords}",
            f"url={self.endpoint}", f"endpoint={REGION}", "use_path_request_style",
            f"use_cache={self.place}/cache",  # the usual local cache, kept over a remount
            "enable_noobj_cache",  # remembers names that are not there: recommended for speed
        ]
        return [self.program, BUCKET, str(self.point), "-f", "-o", ",".join(options)], {}


class RcloneMount(ForegroundMount):
    """With the write-back cache that its documentation recommends; it uploads 5 s after close()."""

    def __init__(self, program, place, server):
        super().__init__(place)
        self.program = program
        self.endpoint = server.endpoint
        self.port = free_port()
        self.description = f"{first_line_of(program, 'version')}; --vfs-cache-mode writes"

    def command(self):
        prefix = "RCLONE_CONFIG_BENCH_"
        environment = {
            "RCLONE_CONFIG": "/dev/null", prefix + "TYPE": "s3", prefix + "PROVIDER": "Other",
            prefix + "ENDPOINT": self.endpoint, prefix + "REGION": REGION,
            prefix + "ACCESS_KEY_ID": ACCESS_KEY, prefix + "SECRET_ACCESS_KEY": SECRET_KEY,
            prefix + "NO_CHECK_BUCKET": "true",  # recommended for keys that can't create buckets
        }
        return [self.program, "mount", f"bench:{BUCKET}", str(self.point), "--vfs-cache-mode", "writes",
                "--cache-dir", str(self.place / "cache"), "--rc", "--rc-no-auth",
                "--rc-addr", f"127.0.0.1:{self.port}"], environment

    def is_idle(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/vfs/stats", b"{}", method="POST",
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                cache = json.loads(answer.read())["diskCache"]
        except (OSError, urllib.error.HTTPError) as error:
            raise Broken(f"rclone does not answer vfs/stats: {error}") from error
        return cache["uploadsInProgress"] + cache["uploadsQueued"] == 0 and not self.has_dirty_files()

    def has_dirty_files(self):
        """Files that are not queued yet: the kernel's RELEASE, which queues them, comes after close(),
        and waits for what the cache still fetches. The cache's own records tell."""
        for record in (self.place / "cache" / "vfsMeta").rglob("*"):
            try:
                if record.is_file() and json.loads(record.read_text())["Dirty"]:
                    return True
            except FileNotFoundError:
                pass  # of a file that was removed meanwhile
            except ValueError:
                return True  # it is just being written
        return False

    def settle(self, limit):
        wait_for(self.is_idle, limit, "uploads from the cache")


# Name in the table and in --programs: how the program is found, and what mounts it.
PEERS = {
    "s3fs": (lambda: from_debian("s3fs"), S3fsMount),
    "rclone": (lambda: from_debian("rclone"), RcloneMount),
    "rclone-new": (from_go_proxy, RcloneMount),
}
