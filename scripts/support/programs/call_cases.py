"""Sequences of calls that the programs' suites found broken, each made small."""

import os
import stat
import sys
import time

from cases import case

HOLD_SECONDS = 5  # that a temporary name waits for its rename


@case("calls")
def close_and_open_at_once(scene):
    """a file that is closed and opened again at once is the same file: its size grows with every write"""
    path, size = scene.mounted / "file", 0
    for number in range(500):
        with open(path, "ab", buffering=0) as writer:
            size += writer.write(b"x" * 100)
            scene.expect_equal(os.fstat(writer.fileno()).st_size, size, f"size of {path} in round {number}")
    scene.expect_equal(path.stat().st_size, size, f"size of {path} at the end")


@case("calls")
def temporary_name_opened_by_another(scene):
    """who changes another process's temporary name before its rename has the same file as everybody"""
    path = scene.mounted / ".name.Abc123"
    scene.run(sys.executable, "-c", "import os, sys; "
              "file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL); os.write(file, b'a' * 100)", path)
    with open(path, "r+b", buffering=0) as writer:
        os.pwrite(writer.fileno(), b"b" * 100, 100)
        scene.expect_equal(os.fstat(writer.fileno()).st_size, 200, f"size of {path}, 100 bytes and 100 more")
        scene.expect_equal(path.read_bytes(), b"a" * 100 + b"b" * 100, f"{path} as a second reader finds it")
        path.unlink()
    time.sleep(HOLD_SECONDS + 1)
    scene.expect_names(scene.mounted, [])


@case("calls")
def chmod_after_close(scene):
    """chmod right after close() stays, of empty files too, which are stored after it was answered"""
    for content in (b"", b"hello"):
        for number in range(60):
            path = scene.mounted / f"{len(content)}-{number}"
            path.write_bytes(content)
            path.chmod(0o640)
            scene.expect_equal(oct(path.stat().st_mode), "0o100640", f"mode of {path}")
    scene.remount()
    wrong = [path.name for path in sorted(scene.mounted.iterdir()) if path.stat().st_mode != 0o100640]
    scene.expect_equal(wrong, [], f"files in {scene.mounted} whose chmod is lost after a remount")


@case("calls")
def directories_as_listed(scene):
    """ls -l of a fresh mount shows each directory's own mode, owner and time"""
    for number in range(5):
        directory = scene.mounted / f"{number}"
        directory.mkdir()
        directory.chmod(0o700 + number)
        os.chown(directory, 1000 + number, 2000)
        os.utime(directory, (10**9, 10**9 + number))
    scene.remount()
    scene.run("ls", "-l", scene.mounted)
    for number in range(5):
        found = (scene.mounted / f"{number}").stat()
        scene.expect_equal((oct(stat.S_IMODE(found.st_mode)), found.st_uid, int(found.st_mtime)),
                           (oct(0o700 + number), 1000 + number, 10**9 + number),
                           f"mode, owner and time of {scene.mounted}/{number} after ls -l")


@case("calls")
def attributes_that_are_listed(scene):
    """each extended attribute that is listed can be read, also of symlinks and FIFOs"""
    (scene.mounted / "file").write_bytes(b"x")
    (scene.mounted / "directory").mkdir()
    (scene.mounted / "link").symlink_to("file")
    os.mkfifo(scene.mounted / "fifo")
    for path in sorted(scene.mounted.iterdir()):
        for name in os.listxattr(path, follow_symlinks=False):
            os.getxattr(path, name, follow_symlinks=False)


@case("calls")
def flags_of_rename(scene):
    """rename onto itself, onto an open file, and of an open file, whose descriptors stay with it"""
    first, second = scene.mounted / "first", scene.mounted / "second"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    os.rename(first, first)
    with open(first, "r+b", buffering=0) as mover, open(second, "rb", buffering=0) as loser:
        os.rename(first, second)
        mover.write(b"FIRST AND MORE")
        scene.expect_equal(loser.read(), b"second", f"{second} as who opened it before the rename reads it")
    scene.remount()
    scene.expect_names(scene.mounted, ["second"])
    scene.expect_equal(second.read_bytes(), b"FIRST AND MORE", f"{second}")
