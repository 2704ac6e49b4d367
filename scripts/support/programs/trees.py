"""Trees of files to copy around, and what two trees differ in."""

import os
import random
import stat

CHUNK = 1 << 20
MODES = (0o644, 0o600, 0o755, 0o444, 0o640)
FIRST_TIME = 1_500_000_000  # seconds: long ago, so that nobody's clock gives it by chance


def write_random(path, size, seed):
    """Bytes that no compression shortens, always the same ones for one seed."""
    rng = random.Random(seed)
    with open(path, "wb") as out:
        while size > 0:
            size -= out.write(rng.randbytes(min(size, CHUNK)))


def settle(path, number):
    """A time with nanoseconds and a mode, other ones for each number."""
    path.chmod(MODES[number % len(MODES)])
    moment = (FIRST_TIME + number * 86_400) * 10**9 + 123_456_789 + number
    os.utime(path, ns=(moment, moment))


def make_tree(root, files=40, large=12 << 20, attributes=False):
    """Small files in nested directories, an empty one, odd names, a symlink, and one of several parts."""
    root.mkdir(parents=True, exist_ok=True)
    sizes = [0, 1, 4096, 65537, 300_000]
    places = [root, root / "one", root / "one" / "two", root / "with space", root / "ümläut-日本"]
    for place in places:
        place.mkdir(exist_ok=True)
    for number in range(files):
        path = places[number % len(places)] / f"file {number}.bin"
        write_random(path, sizes[number % len(sizes)], number)
        if attributes:
            os.setxattr(path, "user.number", str(number).encode())
            os.setxattr(path, "user.binary", bytes(range(256)))
        settle(path, number)
    if large:
        write_random(root / "large.bin", large, "large")
        settle(root / "large.bin", 2)
    (root / "empty").mkdir()
    (root / "link").symlink_to("one/two")
    (root / "dangling").symlink_to("nowhere/at all")
    for number, place in enumerate([*places[1:], root / "empty"]):
        os.utime(place, ns=((FIRST_TIME + number) * 10**9, (FIRST_TIME + number) * 10**9))


def contents_equal(one, other):
    with open(one, "rb") as left, open(other, "rb") as right:
        while True:
            chunk = left.read(CHUNK)
            if chunk != right.read(CHUNK):
                return False
            if not chunk:
                return True


def own_attributes(path):
    """Extended attributes but those that a mount tells of itself."""
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
            if name.startswith("user.") and not name.startswith("user.b2.")}


def aspect_of(path, aspect):
    found = path.lstat()
    is_link = stat.S_ISLNK(found.st_mode)
    if aspect == "mode":
        return None if is_link else oct(stat.S_IMODE(found.st_mode))
    if aspect == "mtime":
        return None if is_link or path.is_dir() else found.st_mtime_ns
    if aspect == "directory mtime":
        return found.st_mtime_ns if stat.S_ISDIR(found.st_mode) else None
    if aspect == "owner":
        return (found.st_uid, found.st_gid)
    if aspect == "xattrs":
        return own_attributes(path)
    raise ValueError(aspect)


def difference(original, copy, aspects):
    """What one name of two trees differs in, or None."""
    left, right = original.lstat(), copy.lstat()
    if stat.S_IFMT(left.st_mode) != stat.S_IFMT(right.st_mode):
        return f"{copy}: another kind of file than {original}"
    if stat.S_ISLNK(left.st_mode) and os.readlink(original) != os.readlink(copy):
        return f"{copy}: points to {os.readlink(copy)!r}, expected {os.readlink(original)!r}"
    if stat.S_ISREG(left.st_mode):
        if left.st_size != right.st_size:
            return f"{copy}: {right.st_size} bytes, expected {left.st_size}"
        if not contents_equal(original, copy):
            return f"{copy}: other bytes than {original}"
    for aspect in aspects:
        expected, found = aspect_of(original, aspect), aspect_of(copy, aspect)
        if expected != found:
            return f"{copy}: {aspect} is {found}, expected {expected}"
    return None


def names_below(root):
    found = set()
    for place, directories, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(place, name), root) for name in directories + files}
    return found


def differences(original, copy, aspects=()):
    """One line for each name that is missing, too many, or different."""
    expected, found = names_below(original), names_below(copy)
    lines = [f"{copy / name}: missing" for name in sorted(expected - found)]
    lines += [f"{copy / name}: there, expected nothing of that name" for name in sorted(found - expected)]
    for name in sorted(expected & found):
        line = difference(original / name, copy / name, aspects)
        if line:
            lines.append(line)
    return lines
