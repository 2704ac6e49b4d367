"""tar, zip, cp, mv, install, git: programs that make and move whole trees."""

import os
import shutil
import subprocess

from cases import case
from trees import make_tree, write_random

ALL = ("mode", "mtime", "owner")


def source_tree(scene, **choices):
    source = scene.local / "source"
    make_tree(source, **choices)
    return source


@case("trees", needs=["tar"])
def tar_unpack(scene):
    """tar x into the mount, tar d finds no difference, also after a remount"""
    source = source_tree(scene)
    archive = scene.local / "tree.tar"
    scene.run("tar", "--format=posix", "-cf", archive, "-C", source, ".")  # with nanoseconds
    copy = scene.mounted / "copy"
    copy.mkdir()
    scene.run("tar", "-xpf", archive, "-C", copy)
    scene.run("tar", "-df", archive, "-C", copy)
    scene.expect_tree(copy, source, *ALL, "directory mtime")
    scene.remount()
    scene.run("tar", "-df", archive, "-C", copy)
    scene.expect_tree(copy, source, *ALL, "directory mtime")


@case("trees", needs=["tar", "gzip"])
def tar_pack(scene):
    """tar c and a compressed tar written into the mount, append with tar r, read back from it"""
    source = source_tree(scene)
    for name, flag in (("plain.tar", "-cf"), ("packed.tgz", "-czf")):
        scene.run("tar", flag, scene.mounted / name, "-C", source, ".")
    write_random(source / "late", 50_000, "late")
    scene.run("tar", "-rf", scene.mounted / "plain.tar", "-C", source, "./late")
    scene.remount()
    for name in ("plain.tar", "packed.tgz"):
        back = scene.local / f"{name}.back"
        back.mkdir()
        scene.run("tar", "-xpf", scene.mounted / name, "-C", back)
        if name == "packed.tgz":
            shutil.copy2(source / "late", back / "late")
        scene.expect_tree(back, source, "mode", "owner")


@case("trees", needs=["zip", "unzip"])
def zip_and_unzip(scene):
    """zip writes, tests and changes an archive in the mount, unzip unpacks it there"""
    source = source_tree(scene, files=20)
    archive = scene.mounted / "tree.zip"
    scene.run("zip", "-qry", archive, ".", cwd=source)
    scene.run("zip", "-qT", archive)
    write_random(source / "late", 50_000, "late")
    scene.run("zip", "-q", archive, "late", cwd=source)
    scene.run("zip", "-qd", archive, "file 0.bin")
    (source / "file 0.bin").unlink()
    copy = scene.mounted / "copy"
    scene.run("unzip", "-q", archive, "-d", copy)
    scene.expect_tree(copy, source, "mode")
    scene.remount()
    scene.run("unzip", "-tq", archive)
    scene.expect_tree(copy, source, "mode")


@case("trees", needs=["cp"])
def cp_archive(scene):
    """cp -a into the mount, within it and back keeps bytes, modes, times, links and user attributes"""
    source = source_tree(scene, attributes=True)
    inside, second, back = scene.mounted / "inside", scene.mounted / "second", scene.local / "back"
    scene.run("cp", "-a", source, inside)
    scene.run("cp", "-a", inside, second)
    scene.remount()
    scene.run("cp", "-a", second, back)
    for copy in (inside, second, back):
        scene.expect_tree(copy, source, *ALL, "xattrs", "directory mtime")


@case("trees", needs=["cp"])
def cp_over(scene):
    """cp over an older file, a shorter one, a read-only one (-f), and cp --sparse=always of holes"""
    first, second = scene.local / "first", scene.local / "second"
    write_random(first, 12 << 20, "first")
    write_random(second, 5000, "second")
    target = scene.mounted / "target"
    for source in (first, second, first):
        scene.run("cp", source, target)
        scene.run("cmp", source, target)
    target.chmod(0o444)
    scene.run("cp", "-f", second, target)
    with open(scene.local / "holes", "wb") as file:
        file.truncate(11 << 20)
        file.seek(6 << 20)
        file.write(b"an island")
    scene.run("cp", "--sparse=always", scene.local / "holes", scene.mounted / "holes")
    scene.remount()
    scene.run("cmp", second, target)
    scene.run("cmp", scene.local / "holes", scene.mounted / "holes")


@case("trees", needs=["mv"])
def mv_both_ways(scene):
    """mv of files and trees from the disk to the mount, within it, and back"""
    source = source_tree(scene)
    pattern = scene.local / "pattern"
    scene.run("cp", "-a", source, pattern)
    away, within = scene.mounted / "away", scene.mounted / "within"
    scene.run("mv", source, away)
    scene.expect(not source.exists(), f"{source} is still there after mv")
    scene.expect_tree(away, pattern, *ALL)
    scene.run("mv", away, within)
    scene.expect_names(scene.mounted, ["within"])
    scene.expect_tree(within, pattern, *ALL)
    scene.remount()
    scene.run("mv", within, source)
    scene.expect_names(scene.mounted, [])
    scene.expect_tree(source, pattern, *ALL)


@case("trees", needs=["mv"])
def mv_over(scene):
    """mv onto an existing file replaces it at once, -n leaves it, -b keeps a backup"""
    for name in ("a", "b", "c"):
        write_random(scene.local / name, 100_000, name)
        scene.run("cp", scene.local / name, scene.mounted / name)
    scene.run("mv", "-f", scene.mounted / "a", scene.mounted / "b")
    scene.run("cmp", scene.local / "a", scene.mounted / "b")
    scene.run("mv", "-n", scene.mounted / "b", scene.mounted / "c", codes=(0, 1))
    scene.run("cmp", scene.local / "c", scene.mounted / "c")
    scene.run("mv", "-b", scene.mounted / "b", scene.mounted / "c")
    scene.expect_names(scene.mounted, ["c", "c~"])
    scene.remount()
    scene.run("cmp", scene.local / "a", scene.mounted / "c")
    scene.run("cmp", scene.local / "c", scene.mounted / "c~")


@case("trees", needs=["install"])
def install_files(scene):
    """install sets mode, owner and time, makes directories, replaces and backs up"""
    source = scene.local / "tool"
    write_random(source, 200_000, "tool")
    os.utime(source, ns=(10**18 + 5, 10**18 + 5))
    target = scene.mounted / "usr" / "bin" / "tool"
    scene.run("install", "-D", "-p", "-m", "751", "-o", "1234", "-g", "4321", source, target)
    for when in ("at once", "after a remount"):
        found = target.stat()
        scene.expect_equal((oct(found.st_mode & 0o7777), found.st_uid, found.st_gid, found.st_mtime_ns),
                           ("0o751", 1234, 4321, 10**18 + 5), f"{target} {when}")
        scene.run("cmp", source, target)
        if when == "at once":
            scene.remount()
    write_random(source, 10_000, "newer tool")
    scene.run("install", "-b", "-m", "600", source, target)
    scene.run("cmp", source, target)
    scene.expect_names(target.parent, ["tool", "tool~"])


def make_repository(scene):
    repository = scene.local / "origin"
    make_tree(repository, files=30, large=3 << 20)
    git = ("git", "-C", repository)
    scene.run("git", "init", "-q", "-b", "main", repository)
    scene.run(*git, "config", "user.email", "somebody@example.org")
    scene.run(*git, "config", "user.name", "Somebody")
    for number in range(5):
        (repository / "counter").write_text(f"{number}\n" * 100)
        scene.run(*git, "add", "-A")
        scene.run(*git, "commit", "-qm", f"commit {number}")
    return repository


@case("git", needs=["git"])
def git_clone_and_commit(scene):
    """git clone into the mount, fsck, commits, gc and push between clones"""
    origin = make_repository(scene)
    clone = scene.mounted / "clone"
    scene.run("git", "clone", "-q", "--no-local", origin, clone, limit=120)
    git = ("git", "-C", clone, "-c", "user.email=somebody@example.org", "-c", "user.name=Somebody")
    scene.run(*git, "fsck", "--strict", "--full")
    scene.expect_equal(scene.run(*git, "status", "--porcelain"), "", f"git status in {clone}")
    (clone / "counter").write_text("changed in the mount\n")
    scene.run(*git, "commit", "-qam", "made in the mount")
    scene.run(*git, "checkout", "-qb", "other", "HEAD~3")
    scene.run(*git, "merge", "-q", "-m", "merge", "main", limit=120)
    scene.run(*git, "gc", "-q", limit=120)
    scene.remount()
    scene.run(*git, "fsck", "--strict", "--full")
    scene.expect_equal(scene.run(*git, "status", "--porcelain"), "", f"git status after a remount of {clone}")
    scene.run(*git, "push", "-q", "origin", "other")
    scene.expect_equal(scene.run("git", "-C", origin, "rev-parse", "other"), scene.run(*git, "rev-parse", "other"),
                       "the branch that was pushed from the mount")


@case("git", needs=["git"])
def git_bare_remote(scene):
    """a bare repository in the mount is pushed to and cloned from"""
    origin = make_repository(scene)
    bare = scene.mounted / "bare.git"
    scene.run("git", "init", "-q", "--bare", "-b", "main", bare)
    scene.run("git", "-C", origin, "push", "-q", bare, "main")
    scene.remount()
    scene.run("git", "-C", bare, "fsck", "--strict", "--full")
    scene.run("git", "clone", "-q", bare, scene.local / "clone")
    scene.run("diff", "-r", "--no-dereference", "-x", ".git", "-x", "empty", origin, scene.local / "clone")
