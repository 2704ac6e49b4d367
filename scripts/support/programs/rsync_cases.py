"""rsync, in the ways people call it."""

import os
import re

from cases import case
from trees import FIRST_TIME, make_tree, settle, write_random

ALL = ("mode", "mtime", "owner")
OLD = (FIRST_TIME + 5) * 10**9


def sync(scene, *arguments, limit=120):
    return scene.run("rsync", *arguments, limit=limit)


def transferred(output):
    """From --stats: how many files were sent."""
    return int(re.search(r"Number of regular files transferred: ([\d,]+)", output)[1].replace(",", ""))


def from_local(scene, **choices):
    source = scene.local / "source"
    make_tree(source, **choices)
    return source, scene.mounted / "copy"


@case("rsync", needs=["rsync"])
def rsync_archive_twice(scene):
    """rsync -a copies names, bytes, modes and times; a second run sends nothing, nor after a remount"""
    source, copy = from_local(scene)
    sync(scene, "-a", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL, "directory mtime")
    second = sync(scene, "-a", "--stats", "-i", f"{source}/", f"{copy}/")
    scene.expect_equal(transferred(second), 0, f"files sent by the second run to {copy}")
    scene.expect_equal([line for line in second.splitlines() if re.match(r"[<>.ch*][fdL]", line)], [],
                       f"changes the second run found in {copy}")
    scene.remount()
    scene.expect_tree(copy, source, *ALL, "directory mtime")
    third = sync(scene, "-a", "--stats", f"{source}/", f"{copy}/")
    scene.expect_equal(transferred(third), 0, f"files sent after a remount to {copy}")


@case("rsync", needs=["rsync"])
def rsync_back(scene):
    """rsync -a from the mount to the disk, after a remount"""
    source, copy = from_local(scene, files=20)
    sync(scene, "-a", f"{source}/", f"{copy}/")
    scene.remount()
    back = scene.local / "back"
    sync(scene, "-a", f"{copy}/", f"{back}/")
    scene.expect_tree(back, source, *ALL)


@case("rsync", needs=["rsync"])
def rsync_inplace(scene):
    """rsync --inplace changes a large file in the middle, makes it longer and shorter"""
    source, copy = from_local(scene, files=0, large=20 << 20)
    sync(scene, "-a", "--inplace", f"{source}/", f"{copy}/")
    for number, change in enumerate([(9 << 20, b"middle" * 1000), (20 << 20, b"longer" * 99999)]):
        with open(source / "large.bin", "r+b") as file:
            file.seek(change[0])
            file.write(change[1])
        settle(source / "large.bin", 50 + number)
        sync(scene, "-a", "--inplace", "--no-whole-file", f"{source}/", f"{copy}/")
        scene.expect_tree(copy, source, *ALL)
    os.truncate(source / "large.bin", 6 << 20)
    settle(source / "large.bin", 60)
    sync(scene, "-a", "--inplace", "--no-whole-file", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    scene.remount()
    scene.expect_tree(copy, source, *ALL)


@case("rsync", needs=["rsync"])
def rsync_append_verify(scene):
    """rsync --append-verify finishes a copy that was broken off"""
    source, copy = from_local(scene, files=0, large=20 << 20)
    copy.mkdir()
    with open(source / "large.bin", "rb") as whole:
        (copy / "large.bin").write_bytes(whole.read(7 << 20))
    sync(scene, "-a", "--append-verify", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    with open(copy / "large.bin", "r+b") as file:  # a head that is not the source's
        file.write(b"something else")
        file.truncate(9 << 20)
    sync(scene, "-a", "--append-verify", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    scene.remount()
    scene.expect_tree(copy, source, *ALL)


@case("rsync", needs=["rsync"])
def rsync_xattrs(scene):
    """rsync -aX keeps user attributes, binary ones too, there and back, and finds nothing to do again"""
    source, copy = from_local(scene, files=20, large=0, attributes=True)
    sync(scene, "-aX", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL, "xattrs")
    scene.remount()
    scene.expect_tree(copy, source, *ALL, "xattrs")
    # The mount's own user.b2.* are in every comparison that rsync makes, hence the filter.
    second = sync(scene, "-aX", "--filter=-x user.b2.*", "--stats", f"{source}/", f"{copy}/")
    scene.expect_equal(transferred(second), 0, f"files sent by the second run to {copy}")
    back = scene.local / "back"
    sync(scene, "-aX", f"{copy}/", f"{back}/")
    scene.expect_tree(back, source, *ALL, "xattrs")


@case("rsync", needs=["rsync"])
def rsync_delete(scene):
    """rsync --delete removes what is gone from the source, directories too, and nothing else"""
    source, copy = from_local(scene, files=30, large=0)
    sync(scene, "-a", f"{source}/", f"{copy}/")
    scene.run("rm", "-r", source / "one", source / "file 0.bin", source / "link")
    (source / "new directory").mkdir()
    write_random(source / "new directory" / "new", 70_000, 1)
    (source / "empty").rmdir()
    (source / "empty").write_bytes(b"a file where a directory was")
    sync(scene, "-a", "--delete", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    scene.remount()
    scene.expect_tree(copy, source, *ALL)


def rewrite(scene, source, copy, *options):
    """Both a first run with the options and one over files that have changed."""
    sync(scene, "-a", *options, f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    for number, name in enumerate(["file 0.bin", "one/file 1.bin"]):
        write_random(source / name, 123_457, f"new {number}")
        settle(source / name, 90 + number)
    sync(scene, "-a", *options, f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    scene.remount()
    scene.expect_tree(copy, source, *ALL)


@case("rsync", needs=["rsync"])
def rsync_partial_dir(scene):
    """rsync --partial-dir goes on with what a killed run left there, and clears it away"""
    source, copy = from_local(scene, files=10)
    rest = copy / ".rsync-partial"
    rest.mkdir(parents=True)
    with open(source / "large.bin", "rb") as whole:
        (rest / "large.bin").write_bytes(whole.read(9 << 20))
    rewrite(scene, source, copy, "--partial-dir=.rsync-partial", "--no-whole-file")


@case("rsync", needs=["rsync"])
def rsync_delay_updates(scene):
    """rsync --delay-updates puts all files into place at the end"""
    rewrite(scene, *from_local(scene, files=20), "--delay-updates")


@case("rsync", needs=["rsync"])
def rsync_temp_dir(scene):
    """rsync --temp-dir, below the mount and on another file system"""
    source, copy = from_local(scene, files=20)
    inside, outside = scene.mounted / "temporary", scene.local / "temporary"
    inside.mkdir()
    outside.mkdir()
    rewrite(scene, source, copy, f"--temp-dir={inside}")
    scene.expect_names(inside, [])
    rewrite(scene, source, scene.mounted / "second", f"--temp-dir={outside}")
    scene.expect_names(outside, [])


@case("rsync", needs=["rsync"])
def rsync_changes_of_metadata(scene):
    """rsync -a passes on a chmod, a touch and a new owner without sending bytes"""
    source, copy = from_local(scene, files=10)
    sync(scene, "-a", f"{source}/", f"{copy}/")
    (source / "file 0.bin").chmod(0o711)
    os.utime(source / "large.bin", ns=(OLD, OLD))
    os.chown(source / "one" / "file 1.bin", 12345, 54321)
    # By size only: else a file of another time is sent.
    output = sync(scene, "-a", "--size-only", "--stats", f"{source}/", f"{copy}/")
    scene.expect_tree(copy, source, *ALL)
    scene.expect_equal(transferred(output), 0, "files sent for changes of metadata")
    scene.remount()
    scene.expect_tree(copy, source, *ALL)


@case("rsync", needs=["rsync"], long=True)
def rsync_many(scene):
    """rsync -a of 3,000 small files, and once more with nothing to send"""
    source = scene.local / "source"
    for number in range(3000):
        place = source / f"{number % 30:02}"
        place.mkdir(parents=True, exist_ok=True)
        write_random(place / f"{number:04}", 1 + number * 7 % 9000, number)
    copy = scene.mounted / "copy"
    sync(scene, "-a", f"{source}/", f"{copy}/", limit=300)
    scene.remount()
    scene.expect_equal(transferred(sync(scene, "-a", "--stats", f"{source}/", f"{copy}/")), 0,
                       f"files sent by the second run to {copy}")
    scene.expect_tree(copy, source, *ALL)
