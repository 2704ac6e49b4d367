"""Writers as people have them: cp, rsync, dd, mv, rm and truncate as processes of their own, several
at once, and what each of them was promised. A writer's files are its own."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from promises import (ABSENT, EMPTY, Outcome, Promises, any_prefix, cut, draw, patched, size_of, whole,
                      write_source)
from rig import Broken

APPEND_RECORDS = Path(__file__).with_name("append-records")
NAMES = 6
LONGEST_OPERATION = 60  # seconds; nothing may let a caller wait for ever


class Writer:
    def __init__(self, number, mountpoint, sources):
        self.name = f"w{number}"
        self.mountpoint = mountpoint
        self.sources = sources / self.name
        self.promises = Promises()
        self.tree = {}  # relative path of the rsync source: pieces
        self.clock = 1_000_000_000
        self.acknowledged = self.failed = self.bytes = 0
        self.broken = self.process = None
        (self.sources / "tree").mkdir(parents=True)

    # --- running

    def run(self, seed, deadline):
        """The body of the writer's thread: operations until the time is up."""
        self.rng = random.Random(seed)
        self.deadline = deadline
        try:
            while time.monotonic() < self.deadline:
                operation = self.rng.choices(*zip(*self.WEIGHTS))[0]
                if operation(self) is False:
                    time.sleep(0.05)  # the mount may be gone for a moment
        except Exception as error:  # told to the main thread, which ends the run
            self.broken = error

    def stop(self):
        """At the end of the script; what it runs just now is killed."""
        self.deadline = 0
        if self.process:
            self.process.kill()

    def execute(self, command, killed_after=None):
        """Exit status and output."""
        self.process = process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", env=dict(os.environ, LC_ALL="C"))
        try:
            output, _ = process.communicate(timeout=killed_after or LONGEST_OPERATION)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            output, _ = process.communicate()
            if not killed_after:
                raise Broken(f"{' '.join(map(str, command))} has not ended after "
                             f"{LONGEST_OPERATION} s") from None
        return process.returncode, output

    def count(self, paths, what, began, status, output, size=0):
        """Notes one operation; True if it was acknowledged."""
        lines = output.strip().splitlines()
        line = (f"{time.strftime('%H:%M:%S', time.gmtime(began))}.{int(began % 1 * 1000):03} "
                f"+{time.time() - began:.2f}s {what}: {status} {lines[-1] if lines else ''}")
        for path in paths:
            self.promises.tell(path, line)
        if status == 0:
            self.acknowledged += 1
            self.bytes += size
        else:
            self.failed += 1
        return status == 0

    # --- what to do it with

    def path(self, name):
        return f"data/{self.name}/{name}"

    def some_path(self):
        for _ in range(NAMES):
            path = self.path(f"file-{self.rng.randrange(NAMES)}")
            if not self.promises.is_bound(path):
                break
        return path

    def certain_file(self):
        """A path whose content is known; None if the one that was drawn has none."""
        path = self.some_path()
        content = self.promises.certain(path)
        return (path, content.pieces) if content else (None, None)

    def some_size(self):
        kind = self.rng.random()
        if kind < 0.06:
            return 0
        if kind < 0.50:
            return self.rng.randrange(1, 200_000)
        if kind < 0.80:
            return self.rng.randrange(200_000, 6 << 20)
        if kind < 0.96:
            return self.rng.randrange(5 << 20, 16 << 20)
        return self.rng.randrange(16 << 20, 60 << 20)

    def source(self, pieces):
        path = self.sources / "source"
        write_source(path, pieces)
        return path

    def on_mount(self, path):
        return self.mountpoint / path

    # --- the operations. Each tells the promises what may be there now; False: it failed.

    def copy(self, killed_after=None):
        path, pieces = self.some_path(), draw(self.rng, self.some_size())
        command = ["cp", self.source(pieces), self.on_mount(path)]
        began = time.time()
        status, output = self.execute(command, killed_after)
        done = self.count([path], f"cp of {size_of(pieces)} bytes", began, status, output, size_of(pieces))
        if done and pieces:
            self.promises.acknowledge(path, whole(pieces))
        elif done:  # without bytes: stored a moment after its close, see docs/reliability.md
            self.promises.allow(path, EMPTY)
        elif status == -signal.SIGKILL:  # as far as it came, as on a disk
            self.promises.allow(path, any_prefix(pieces))
        else:
            self.promises.allow(path, whole(pieces), *self.only_created(path))
        return done

    def killed_copy(self):
        return self.copy(killed_after=self.rng.uniform(0.005, 0.2))

    def only_created(self, path):
        """A file that was new, and whose writer came no further, may be empty."""
        return [EMPTY] if ABSENT in self.promises.outcomes(path) else []

    def remove(self):
        path = self.some_path()
        if self.promises.outcomes(path) == [ABSENT]:
            return None
        began = time.time()
        status, output = self.execute(["rm", self.on_mount(path)])
        done = self.count([path], "rm", began, status, output)
        if done:
            self.promises.acknowledge(path, ABSENT)
        else:
            self.promises.allow(path, ABSENT)
        return done

    def rename(self):
        source, target = self.some_path(), self.some_path()
        content = self.promises.certain(source)
        if not content or source == target:
            return None
        began = time.time()
        command = ["mv", "-T", self.on_mount(source), self.on_mount(target)]
        status, output = self.execute(command)
        done = self.count([source, target], f"mv {source} {target}", began, status, output)
        if done:
            self.promises.acknowledge(source, ABSENT)
            self.promises.acknowledge(target, content)
        else:
            self.promises.allow(source, ABSENT)
            self.promises.allow(target, content)
            self.promises.bind([content], [source, target])
            self.promises.broken_off.add(target)
        return done

    def patch(self):
        path, pieces = self.certain_file()
        if not path or not size_of(pieces):
            return None
        at = self.rng.randrange(size_of(pieces))
        patch = draw(self.rng, self.rng.randrange(1, 60_000))
        began = time.time()
        status, output = self.execute(
            ["dd", f"if={self.source(patch)}", f"of={self.on_mount(path)}", "bs=64K", f"seek={at}",
             "oflag=seek_bytes", "conv=notrunc,fsync", "status=none"])
        done = self.count([path], f"dd of {size_of(patch)} bytes at {at}", began, status, output)
        self.changed(path, whole(patched(pieces, at, patch)), done)
        return done

    def truncate(self):
        path, pieces = self.certain_file()
        if not path:
            return None
        size = self.rng.randrange(size_of(pieces) + 1)
        began = time.time()
        status, output = self.execute(["truncate", "-s", size, self.on_mount(path)])
        done = self.count([path], f"truncate to {size}", began, status, output)
        self.changed(path, whole(cut(pieces, 0, size)), done)
        return done

    def changed(self, path, outcome, done):
        if done:
            self.promises.acknowledge(path, outcome)
        else:
            self.promises.allow(path, outcome)

    def append(self):
        path = self.some_path()
        before = self.promises.certain(path)
        if before is False:
            return None
        sizes = [self.rng.randrange(1, 150_000) for _ in range(self.rng.randrange(1, 6))]
        records = draw(self.rng, sum(sizes))
        began = time.time()
        status, output = self.execute(
            [sys.executable, APPEND_RECORDS, self.on_mount(path), self.source(records), *sizes])
        synced = output.count("synced\n")
        done = self.count([path], f"append of {len(sizes)} records, {synced} synced", began, status,
                          output)
        pieces = before.pieces if before else ()
        least = size_of(pieces) + sum(sizes[:synced])
        after = Outcome(pieces + records, least)
        if done or synced:
            self.promises.acknowledge(path, after)
        else:
            self.promises.allow(path, after)
        return done

    def synchronize(self):
        """rsync of a tree, twice."""
        gone = self.change_tree()
        for number in (1, 2):
            began = time.time()
            status, output = self.execute(["rsync", "-a", "--delete", f"{self.sources}/tree/",
                                           f"{self.on_mount(self.path('tree'))}/"])
            paths = [self.path(f"tree/{name}") for name in [*self.tree, *gone]]
            done = self.count(paths, f"rsync {number}", began, status, output,
                              sum(map(size_of, self.tree.values())))
            for name, pieces in self.tree.items():
                self.changed(self.path(f"tree/{name}"), whole(pieces), done)
            for name in gone:
                self.changed(self.path(f"tree/{name}"), ABSENT, done)
        return done

    def change_tree(self):
        """New, changed and removed files in the source; returns the names of all removed ones."""
        root = self.sources / "tree"
        for _ in range(self.rng.randrange(3, 20)):
            name = f"{self.rng.randrange(3)}/leaf-{self.rng.randrange(12)}"
            largest = 7 << 20 if self.rng.random() < 0.04 else 90_000
            self.tree[name] = draw(self.rng, self.rng.randrange(largest))
            (root / name).parent.mkdir(exist_ok=True)
            write_source(root / name, self.tree[name])
            # Another second each: rsync looks at size and time only.
            self.clock += 1
            os.utime(root / name, (self.clock, self.clock))
        for name in self.rng.sample(sorted(self.tree), min(2, len(self.tree))):
            del self.tree[name]
            (root / name).unlink()
        prefix = self.path("tree/")
        known = [path.removeprefix(prefix) for path in self.promises.paths() if path.startswith(prefix)]
        return [name for name in known if name not in self.tree]

    WEIGHTS = [(copy, 30), (append, 16), (rename, 14), (patch, 10), (remove, 10), (synchronize, 8),
               (truncate, 6), (killed_copy, 6)]
