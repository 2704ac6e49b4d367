"""fio writes patterns that it can verify."""

import hashlib

from cases import case

COMMON = ("--name=verify", "--output-format=terse", "--verify_fatal=1", "--verify_state_save=0",
          "--thinktime=0", "--group_reporting", "--fallocate=none")


def checksums(scene):
    return {path.name: hash_of(path) for path in sorted(scene.mounted.iterdir())}


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_and_verify(scene, *options, limit=150):
    """fio writes and verifies; the very bytes that it verified are found by a fresh mount."""
    # Not with fio's --verify_only: of files with gaps, and of blocks of changing sizes, it expects
    # other bytes than it wrote, on any file system.
    scene.run("fio", "--do_verify=1", *COMMON, f"--directory={scene.mounted}", *options, limit=limit)
    verified = checksums(scene)
    scene.remount()
    scene.expect_equal(checksums(scene), verified, f"checksums in {scene.mounted} after a remount")


@case("fio", needs=["fio"])
def fio_sequential(scene):
    """fio --verify of sequential writes, two files at once"""
    write_and_verify(scene, "--rw=write", "--bs=128k", "--size=48m", "--numjobs=2", "--verify=crc32c",
                     "--end_fsync=1")


@case("fio", needs=["fio"])
def fio_sequential_odd(scene):
    """fio --verify of sequential writes of all sizes"""
    write_and_verify(scene, "--rw=write", "--bsrange=512-300k", "--bs_unaligned=1", "--size=20m",
                     "--verify=sha256")


@case("fio", needs=["fio"])
def fio_random(scene):
    """fio --verify of random writes into a file of one part"""
    write_and_verify(scene, "--rw=randwrite", "--bs=4k", "--size=4m", "--verify=crc32c")


@case("fio", needs=["fio"])
def fio_random_parts(scene):
    """fio --verify of random writes into a file of several parts, fsync in between"""
    write_and_verify(scene, "--rw=randwrite", "--bs=64k", "--size=40m", "--io_size=20m", "--verify=md5",
                     "--fsync=64")


@case("fio", needs=["fio"], long=True)
def fio_random_large(scene):
    """fio --verify of random writes of mixed sizes, four files of 128 MiB"""
    write_and_verify(scene, "--rw=randwrite", "--bssplit=4k/30:64k/40:1m/30", "--size=128m", "--io_size=64m",
                     "--numjobs=4", "--verify=crc32c", "--fsync=100", limit=600)
