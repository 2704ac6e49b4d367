"""The everyday workloads of scripts/bench/requests: what they need, run, and leave behind."""

import hashlib
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

from bucket_client import BucketClient, in_threads

FILE_SIZE = 64 << 10
LISTED_SIZE = 1 << 10
TAIL_SIZE = 1 << 20
LONG_AGO = 1_600_000_000  # times that a program must set: today's would be right by accident
GIT_FILES = 400
GIT_COMMITS = 20
VIM = ["vim", "-es", "-N", "-u", "DEFAULTS", "-i", "NONE", "-c", "normal! Goa line more", "-c", "wq"]


def run(*command, **more):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)


def output_of(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    return done.returncode, done.stdout.strip()


def count_files(directory):
    return sum(len(files) for _, _, files in os.walk(directory))


class Sources:
    """What is copied, made once for all programs, the same in every run."""

    def __init__(self, place, options):
        self.place = place
        self.options = options
        self.random = random.Random(20240229)

    def made(self, name, make):
        path = self.place / name
        if not path.exists():
            make(path)
        return path

    def write_old(self, path, content, age):
        path.write_bytes(content)
        os.utime(path, (LONG_AGO + age, LONG_AGO + age))

    def fill(self, root, directories):
        files = self.options.files
        for number in range(files):
            directory = root / f"{number % directories:02}" if directories else root
            directory.mkdir(parents=True, exist_ok=True)
            self.write_old(directory / f"file-{number:05}.bin", self.random.randbytes(FILE_SIZE), number)
        for directory in sorted(root.rglob("*/")):
            os.utime(directory, (LONG_AGO, LONG_AGO))
        os.utime(root, (LONG_AGO, LONG_AGO))

    def tree(self):
        return self.made("tree", lambda root: self.fill(root, 20))

    def flat(self):
        return self.made("flat", lambda root: self.fill(root, 0))

    def archive(self):
        return self.made("tree.tar", lambda path: run("tar", "-C", self.tree(), "-cf", path, "."))

    def random_file(self, name, size):
        def make(path):
            with path.open("wb") as file:
                for _ in range(0, size, 1 << 20):
                    file.write(self.random.randbytes(min(size, 1 << 20)))
        return self.made(name, make)

    def text(self):
        return self.made("notes.txt", lambda path: self.write_old(
            path, b"".join(b"line %d of the notes\n" % number for number in range(4000)), 0))

    def edited(self):
        """The text as vim leaves it on a local disk."""
        def make(directory):
            directory.mkdir()
            run(*VIM, shutil.copy(self.text(), directory / "notes.txt"))
        return self.made("edited", make)

    def repository(self):
        return self.made("repository", self.make_repository)

    def make_repository(self, root):
        date = f"{LONG_AGO} +0000"
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_DATE=date,
                           GIT_COMMITTER_DATE=date, GIT_AUTHOR_NAME="bench", GIT_COMMITTER_NAME="bench",
                           GIT_AUTHOR_EMAIL="bench@localhost", GIT_COMMITTER_EMAIL="bench@localhost")
        run("git", "init", "-q", "-b", "main", root, env=environment)
        for commit in range(GIT_COMMITS):
            for number in range(commit % 2, GIT_FILES, 1 if commit < 2 else 9):
                path = root / f"part-{number % 16:02}" / f"file-{number:03}.txt"
                path.parent.mkdir(exist_ok=True)
                path.write_text(self.random.randbytes(self.random.randrange(500, 8000)).hex())
            run("git", "-C", root, "add", ".", env=environment)
            run("git", "-C", root, "commit", "-q", "-m", f"change {commit}", env=environment)
        run("git", "-C", root, "gc", "-q", env=environment)

    def inserts(self, together):
        count = self.options.files
        begin, end = ("BEGIN;\n", "COMMIT;\n") if together else ("", "")
        lines = "".join(f"INSERT INTO rows VALUES({number}, '{number * 7919:050}');\n"
                        for number in range(count))
        return self.made(f"inserts-{'together' if together else 'each'}.sql", lambda path: path.write_text(
            f"CREATE TABLE rows(number INTEGER PRIMARY KEY, text TEXT);\n{begin}{lines}{end}"))


def copied_tree(stage, step, command, source):
    stage.measure(step, command, count_files(source), lambda self: self.difference(source, "copy/"))


def rsync(stage, sources):
    tree = sources.tree()
    command = ["rsync", "-a", f"{tree}/", f"{stage.point}/copy/"]
    stage.start()
    copied_tree(stage, "1st run", command, tree)
    copied_tree(stage, "2nd run", command, tree)
    stage.remount()
    copied_tree(stage, "after a remount", command, tree)


def cp(stage, sources):
    tree = sources.tree()
    stage.start()
    copied_tree(stage, "cp -a", ["cp", "-a", str(tree), f"{stage.point}/copy"], tree)


def tar(stage, sources):
    tree, archive = sources.tree(), sources.archive()
    stage.start()
    stage.prepare(["mkdir", f"{stage.point}/copy"])
    copied_tree(stage, "tar x", ["tar", "-C", f"{stage.point}/copy", "-xf", str(archive)], tree)


def check_repository(stage, repository):
    clone = stage.fetched("clone/")
    git = ["git", "-C", str(clone), "-c", "core.fileMode=false"]
    for arguments in (["fsck", "--full", "--strict"], ["status", "--porcelain"]):
        status, text = output_of(*git, *arguments)
        lines = [line for line in text.splitlines() if not line.startswith("Checking")]
        if status != 0 or lines:
            return f"no: git {arguments[0]}: {lines[:1]}"
    heads = {output_of("git", "-C", str(place), "rev-parse", "HEAD") for place in (clone, repository)}
    return "" if len(heads) == 1 else "no: another head"


def git(stage, sources):
    repository = sources.repository()
    local = sources.made("local-clone", lambda path: run("git", "clone", "-q", repository, path))
    stage.start()
    stage.measure("git clone", ["git", "clone", "-q", str(repository), f"{stage.point}/clone"],
                  count_files(local), lambda self: check_repository(self, repository))


def check_database(stage, name, count):
    found = output_of("sqlite3", str(stage.fetched("") / name),
                      "PRAGMA integrity_check; SELECT count(*), sum(number) FROM rows;")
    wanted = (0, f"ok\n{count}|{sum(range(count))}")
    return "" if found == wanted else f"no: {found[1][:80]!r}"


def sqlite(stage, sources):
    stage.start()
    count = stage.options.files
    steps = (("together", f"{count} inserts, one transaction"),
             ("each", f"{count} inserts, a transaction each"))
    for files, (name, step) in enumerate(steps, 1):
        script = sources.inserts(name == "together")
        stage.measure(step, ["sqlite3", "-bail", f"{stage.point}/{name}.db", f".read {script}"], files,
                      lambda self, name=name: check_database(self, f"{name}.db", count))


def vim(stage, sources):
    edited = sources.edited()
    BucketClient(stage.server).put("notes.txt", sources.text().read_bytes(), LONG_AGO)
    stage.start()
    stage.measure("vim :wq", [*VIM, f"{stage.point}/notes.txt"], 1, lambda self: self.difference(edited, ""))


def mv(stage, sources):
    flat = sources.flat()
    stage.start()
    stage.prepare(["cp", "-r", "--preserve=timestamps", str(flat), f"{stage.point}/before"])
    stage.measure("mv of a directory", ["mv", f"{stage.point}/before", f"{stage.point}/after"],
                  count_files(flat), lambda self: self.difference(flat, "after/"))


def hash_of(*paths):
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.digest()


def append(stage, sources):
    size = stage.options.size
    large, tail = sources.random_file("large", size), sources.random_file("tail", TAIL_SIZE)
    with large.open("rb") as file:
        BucketClient(stage.server).put("large", file, LONG_AGO)
    stage.start()
    stage.measure(f"1 MiB to {size >> 20} MiB", ["sh", "-c", 'cat "$1" >> "$2"', "sh", str(tail),
                                                  f"{stage.point}/large"], 1,
                  lambda self: "" if hash_of(self.fetched("") / "large") == hash_of(large, tail)
                  else "no: another SHA-256")


def listed_key(number, count):
    return f"{number % max(1, count // 100):03}/object-{number:05}"


def check_listing(stage, count):
    """ls has told the size and the time of every object."""
    wanted = {(LISTED_SIZE, LONG_AGO + number, Path(listed_key(number, count)).name)
              for number in range(count)}
    line = re.compile(r"-\S+\s+\d+\s+\S+\s+\S+\s+(\d+)\s+(\d+)\s+(\S+)")
    found = {(int(match[1]), int(match[2]), match[3])
             for match in map(line.fullmatch, stage.output.read_text().splitlines()) if match}
    return "" if wanted == found else f"no: {len(wanted - found)} of {count} names, sizes or times are wrong"


def ls(stage, _sources):
    count = 10 * stage.options.files
    in_threads(stage.server, range(count), lambda client, number: client.put(
        listed_key(number, count), bytes(LISTED_SIZE), LONG_AGO + number))
    stage.start()
    command = ["ls", "-lR", "--time-style=+%s", str(stage.point)]
    for step in (f"{count} objects, cold", "again"):
        stage.measure(step, command, count, lambda self: check_listing(self, count))


WORKLOADS = {"rsync": rsync, "cp": cp, "tar": tar, "git": git, "sqlite": sqlite, "vim": vim, "mv": mv,
             "append": append, "ls": ls}
