"""Where everyday programs meet a mount: a stand-in, a mount, and the directories of one case.

A Stage is one bucket with one mount, for a group of cases. A Scene is one case's part of it: an empty
directory in the mount, another on the local disk, and ways to run programs and to compare.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from rig import Mount, Server, wait_for
from trees import differences

MOUNT_OPTIONS = ["--attr-ttl", "5s"]
QUIET_SECONDS = 20


class Failed(Exception):
    """A promise that did not hold: what, where, and what was expected."""


def last_lines(text, count=12):
    """The end of a program's output, indented; the beginning as well where it is long."""
    lines = [line[:400] for line in text.strip().splitlines()]
    if len(lines) > 2 * count:
        lines = [*lines[:count], "…", *lines[-count:]]
    return "\n      ".join(lines)


def signals_back():
    """Python ignores two signals that programs expect to find at their defaults."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Stage:
    """One stand-in and one mount, which can be mounted anew."""

    def __init__(self, programs, place, options):
        self.place = place
        place.mkdir(parents=True)
        # Other users have to come through, lest what is checked are the permissions of this directory.
        place.chmod(0o755)
        self.server = Server(programs[1], place)
        self.options = [*MOUNT_OPTIONS, *options]
        self.program = programs[0]
        self.mount = None

    def open(self):
        self.server.start()
        self.mount = Mount(self.program, self.server.endpoint, self.place, "mount", self.options)
        self.mount.start()

    def works(self):
        return self.mount is not None and self.mount.is_mounted() and bool(self.mount.daemons())

    def remount(self):
        """A mount that remembers nothing: the shadow directory, which holds what it learned, is new."""
        self.check_all_stored()
        self.mount.unmount()
        wait_for(lambda: not self.mount.daemons(), 60, "the daemon has not ended after umount")
        shutil.rmtree(self.mount.shadow)
        self.mount.start()

    def close(self):
        if self.mount:
            self.mount.remove()
        self.server.end()

    def check_all_stored(self):
        """Nothing is left in the shadow or unfinished in the bucket, and nothing went wrong unseen."""
        self.mount.drain(QUIET_SECONDS)
        kept = self.mount.shadow_files()
        if kept:
            raise Failed(f"{kept[0]} is in the shadow, though the stand-in took everything")
        wait_for(lambda: not self.server.bucket()["uploads"], QUIET_SECONDS,
                 "an unfinished upload stays in the bucket")
        if self.mount.log.exists():
            for line in self.mount.log.read_text(errors="replace").splitlines():
                if '"level":"error"' in line:
                    raise Failed(f"the log tells of an error, expected none: {line}")


class Scene:
    """The directories of one case, and its programs."""

    def __init__(self, stage, name, choices):
        self.stage = stage
        self.name = name
        self.choices = choices
        self.mounted = stage.mount.point / name
        self.local = stage.place / "local" / name
        self.mounted.mkdir()
        self.local.mkdir(parents=True)

    def remount(self):
        self.stage.remount()

    def run(self, *command, cwd=None, limit=60, text=None, environment=None, codes=(0,)):
        """What the program printed. It has to end within `limit` seconds with one of `codes`."""
        words = [os.fspath(word) for word in command]
        process = subprocess.Popen(
            words, cwd=cwd or self.local, env=dict(os.environ, LC_ALL="C.UTF-8", **(environment or {})),
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            preexec_fn=signals_back)
        try:
            output, _ = process.communicate(text, timeout=limit)
        except subprocess.TimeoutExpired:
            end_group(process)
            raise Failed(f"{' '.join(words)}: has not ended after {limit} s") from None
        except BaseException:  # the script is being ended
            end_group(process)
            raise
        with open(self.local.parent / f"{self.name}.output", "a") as whole:
            whole.write(f"$ {' '.join(words)}\n{output}")
        if process.returncode not in codes:
            raise Failed(f"{' '.join(words)}: ended with {process.returncode}, expected "
                         f"{' or '.join(map(str, codes))}:\n      {last_lines(output)}")
        return output

    def expect(self, holds, what):
        if not holds:
            raise Failed(what)

    def expect_equal(self, found, expected, what):
        if found != expected:
            raise Failed(f"{what}: found {found!r}, expected {expected!r}")

    def expect_names(self, directory, expected):
        self.expect_equal(sorted(os.listdir(directory)), sorted(expected), f"names in {directory}")

    def expect_tree(self, copy, original, *aspects):
        """Copy and original have the same names, kinds and contents, and the same `aspects`."""
        found = differences(Path(original), Path(copy), aspects)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise Failed(found[0] + more)
