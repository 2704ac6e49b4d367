"""fsx: random operations on one file, each read compared with what it has to be."""

from cargo_tools import cargo_program
from cases import case

# Tried on a mount, and left out because of what they answer at the call:
#   punch_hole            EOPNOTSUPP: an object has no holes
#   of no byte (min)      EINVAL by POSIX, for posix_fallocate, which fsx takes for "not supported"
#   mapread, mapwrite,    ENODEV for a shared mapping of a file that is open for writing, and fsx has
#   invalidate            no other descriptor
WEIGHTS = {"close_open": 1, "read": 10, "write": 10, "truncate": 2, "fsync": 0.3, "fdatasync": 0.3,
           "posix_fallocate": 2, "sendfile": 5, "posix_fadvise": 2, "copy_file_range": 3,
           "punch_hole": 0, "mapread": 0, "mapwrite": 0, "invalidate": 0}
# Largest file, and largest operation: one PUT; a part and a little; many parts.
SIZES = {"fsx_small": (256 << 10, 64 << 10), "fsx_parts": (20 << 20, 1 << 20), "fsx_large": (64 << 20, 4 << 20)}


def configure(scene, largest_file, largest_operation):
    weights = "".join(f"{name} = {weight}\n" for name, weight in WEIGHTS.items())
    path = scene.local / "fsx.toml"
    path.write_text(f"flen = {largest_file}\n[opsize]\nmin = 1\nmax = {largest_operation}\n[weights]\n{weights}")
    return path


def exercise(scene, operations, seeds):
    """All operations together, over so many seeds; the file is read back after a remount."""
    program = cargo_program("fsx")
    configuration = configure(scene, *SIZES[scene.name])
    operations = scene.choices.ops or operations
    seeds = scene.choices.seeds or seeds
    each = -(-operations // seeds)
    for seed in range(scene.choices.seed, scene.choices.seed + seeds):
        path = scene.mounted / f"seed-{seed}"
        scene.run(program, "-f", configuration, "-N", str(each), "-S", str(seed), "-P", scene.local, path,
                  limit=120 + each)
        path.unlink()
        if seeds > 2:
            print(f"   {scene.name}: seed {seed}: {each} operations", flush=True)
    print(f"   {scene.name}: {each * seeds} operations over {seeds} seeds", flush=True)


@case("fsx")
def fsx_small(scene):
    """fsx on a file of one part"""
    exercise(scene, operations=4000, seeds=2)


@case("fsx")
def fsx_parts(scene):
    """fsx on a file of up to three parts"""
    exercise(scene, operations=400, seeds=1)


@case("fsx")
def fsx_large(scene):
    """fsx on a file of up to 64 MiB"""
    exercise(scene, operations=300, seeds=1)
