"""A stand-in server and a mount of Spillway for scripts that break them on purpose.

Knows processes, the kernel's mount table and the stand-in's admin endpoint; nothing of what is
written through the mount.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCESS_KEY = "b2sim-access-key"
SECRET_KEY = "b2sim-secret-key"
BUCKET = "demo"
REGION = "us-west-004"
REPOSITORY = Path(__file__).resolve().parents[2]


class Broken(Exception):
    """Something that was promised did not hold, or the rig itself did not work."""


def find_programs(spillway, b2sim):
    """The two programs as absolute paths; builds them if they are the default ones and missing."""
    built = REPOSITORY / "build" / "release"
    chosen = [Path(spillway or built / "spillway"), Path(b2sim or built / "tests" / "b2sim")]
    if not (spillway and b2sim) and not all(program.exists() for program in chosen):
        subprocess.run([REPOSITORY / "scripts" / "build", "release"], check=True)
    for program in chosen:
        if not os.access(program, os.X_OK):
            raise Broken(f"{program} is no program: build it with scripts/build, or name another")
    return [program.resolve() for program in chosen]


def check_machine():
    if not os.path.exists("/dev/fuse"):
        raise Broken("there is no /dev/fuse: load the module (modprobe fuse), or give the container "
                     "the device (--device /dev/fuse --cap-add SYS_ADMIN)")
    for tool in ("fusermount3", "rsync"):
        if not any(os.access(os.path.join(place, tool), os.X_OK)
                   for place in os.environ.get("PATH", "").split(os.pathsep)):
            raise Broken(f"{tool} is missing: install the package {tool.replace('fusermount3', 'fuse3')}")


def end_on_signals():
    """SIGTERM and SIGHUP end the script like Ctrl-C: with its clean-up."""
    def leave(number, _frame):
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Broken(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def living_threads(process):
    """Threads that a process still has besides its own remains, and where in the kernel they are."""
    living = []
    for task in glob.glob(f"/proc/{process}/task/*"):
        try:
            state = Path(task, "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX":
                living.append(f"{os.path.basename(task)}: {Path(task, 'wchan').read_text()}")
        except OSError:
            pass  # it has ended meanwhile
    return living


class Server:
    """The stand-in, on one port and one data directory for all its lives."""

    def __init__(self, program, place):
        self.program = program
        self.root = place / "b2"
        self.log = place / "b2sim.log"
        self.port_file = place / "b2sim.port"
        self.port = 0
        self.process = None
        self.root.mkdir(parents=True, exist_ok=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.port_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--root", self.root, "--bucket", BUCKET, "--region", REGION,
                 "--port", str(self.port), "--port-file", self.port_file, "--quiet"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ, B2SIM_ACCESS_KEY=ACCESS_KEY, B2SIM_SECRET_KEY=SECRET_KEY))
        wait_for(self.is_up, 10, f"the stand-in did not start, see {self.log}")
        self.port = int(self.port_file.read_text())

    def is_up(self):
        if self.process.poll() is not None:
            raise Broken(f"the stand-in ended with {self.process.returncode}, see {self.log}")
        return self.port_file.exists() and self.port_file.read_text().strip() != ""

    def end(self, number=signal.SIGKILL):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def heal(self):
        """Up, at full speed, and without faults."""
        if self.process is None:
            self.start()
        self.resume()
        self.admin("DELETE", "faults")
        self.give_key_back()

    def revoke_key(self):
        self.admin("DELETE", f"keys/{ACCESS_KEY}")

    def give_key_back(self):
        self.admin("POST", "keys", {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY})

    def bucket(self):
        return self.admin("GET", "dump")["buckets"][BUCKET]

    def admin(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/.b2sim/{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            raise Broken(f"the stand-in refused {method} {path} {body}: {refusal.read()}") from refusal
        except OSError as error:
            raise Broken(f"the stand-in does not answer {method} {path}: {error}") from error
        return json.loads(text) if text.strip() else None


class Mount:
    """One mountpoint with one shadow directory, over all the lives of its daemon."""

    def __init__(self, program, endpoint, place, name, options):
        self.program = program
        self.endpoint = endpoint
        self.point = place / name
        self.shadow = place / f"{name}-shadow"
        self.log = place / f"{name}.log"
        self.options = options
        self.point.mkdir(parents=True, exist_ok=True)

    def environment(self):
        return dict(os.environ, S3_ENDPOINT=self.endpoint, S3_ACCESS_KEY=ACCESS_KEY,
                    S3_SECRET_KEY=SECRET_KEY, S3_BUCKET=BUCKET, S3_REGION=REGION)

    def command(self, name, *arguments, limit=90):
        try:
            return subprocess.run([self.program, name, *arguments], env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit)
        except subprocess.TimeoutExpired as late:
            raise Broken(f"spillway {name} has not ended after {limit} s") from late

    def start(self):
        done = self.command("mount", "--shadow", self.shadow, "--log-file", self.log,
                            *self.options, self.point)
        if done.returncode != 0:
            raise Broken(f"spillway mount {self.point} ended with {done.returncode}: {done.stdout}")

    def daemons(self):
        """Processes of this mount, found by the shadow directory in their command line."""
        wanted = os.fsencode(self.shadow)
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == os.fsencode(self.program) and wanted in words:
                found.append(int(entry))
        return found

    def is_mounted(self):
        point = os.fsencode(self.point)
        table = Path("/proc/self/mountinfo").read_bytes().splitlines()
        return any(line.split(b" ")[4] == point for line in table)

    def kill(self):
        """kill -9 of the daemon, as a crash would."""
        killed = self.daemons()
        for daemon in killed:
            try:
                os.kill(daemon, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            wait_for(lambda: not any(map(living_threads, killed)), 5, "killed")
        except Broken:
            stuck = ", ".join(text for daemon in killed for text in living_threads(daemon))
            # Ends what waits for an answer, and with it what they wait for. Only root may.
            subprocess.run(["umount", "-f", self.point], check=False, capture_output=True)
            raise Broken(f"5 s after kill -9 threads of the daemon are still in the kernel ({stuck}), and "
                         f"whoever uses {self.point} hangs until umount -f") from None

    def take_away(self):
        """Removes what a dead daemon left of the mount; the directory below must be empty."""
        while self.is_mounted():
            subprocess.run(["fusermount3", "-u", "-z", self.point], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.01)
        beneath = os.listdir(self.point)
        if beneath:
            raise Broken(f"{beneath[0]} was written below the mountpoint {self.point}, not into it")

    def restart(self):
        self.kill()
        self.take_away()
        self.start()

    def remove(self):
        """At the end of a script, whatever state it is in."""
        try:
            self.kill()
        except Broken as error:
            print(error, file=sys.stderr)
        if self.is_mounted():  # ends what still waits for an answer; only root may
            subprocess.run(["umount", "-f", self.point], check=False, capture_output=True)
        self.take_away()

    def unmount(self):
        done = self.command("umount", self.point)
        if done.returncode != 0:
            raise Broken(f"spillway umount {self.point} ended with {done.returncode}: {done.stdout}")

    def drain(self, seconds):
        done = self.command("drain", "--timeout", f"{seconds}s", self.point, limit=seconds + 30)
        if done.returncode != 0:
            raise Broken(f"spillway drain {self.point} ended with {done.returncode}: {done.stdout}")

    def attribute(self, path, name):
        return os.getxattr(self.point / path, f"user.b2.{name}").decode()

    def shadow_files(self):
        """What the shadow keeps for B2: its data, and the records of its journal."""
        kept = []
        for room in ("files", "parts", "drafts", "journal"):
            for directory, _names, files in os.walk(self.shadow / room):
                kept += [path for path in (Path(directory, name) for name in files)
                         if path.stat().st_size > 0]
        return kept

    def events(self, since, names):
        """Lines of the log behind byte `since` that tell one of these events, and where it ends."""
        if not self.log.exists():
            return [], 0
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().splitlines()
            end = log.tell()
        wanted = [f'"event":"{name}"'.encode() for name in names]
        return [line.decode(errors="replace") for line in lines
                if any(name in line for name in wanted)], end
