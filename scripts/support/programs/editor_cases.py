"""Programs that save a file, rewrite its header, or patch it: each in a way of its own."""

import os
import wave

from cases import case
from trees import write_random

LINES = "".join(f"line {number}\n" for number in range(20_000))


@case("editors", needs=["vim"])
def vim_save(scene):
    """vim saves in place and with backup and rename, keeps mode, and leaves nothing behind"""
    for number, option in enumerate(("backupcopy=yes", "backupcopy=no")):
        path = scene.mounted / f"text-{number}"
        path.write_text(LINES)
        path.chmod(0o640)
        # vim's backupskip and emacs' predicate make no backups below /tmp.
        scene.run("vim", "-u", "NONE", "-N", "-es", "-c", f"set backup writebackup backupskip= {option}",
                  "-c", "%s/line 7$/a changed line/", "-c", "normal Gothe end", "-c", "wq", path)
        scene.remount()
        expected = LINES.replace("line 7\n", "a changed line\n") + "the end\n"
        scene.expect_equal(path.read_text(), expected, f"{path} saved by vim with {option}")
        scene.expect_equal(oct(path.stat().st_mode), "0o100640", f"mode of {path} saved with {option}")
        scene.expect_equal((scene.mounted / f"text-{number}~").read_text(), LINES, f"backup of {path}")
    scene.expect_names(scene.mounted, ["text-0", "text-0~", "text-1", "text-1~"])


@case("editors", needs=["emacs"])
def emacs_save(scene):
    """emacs saves in place and by renaming, with a numbered backup and a lock"""
    for number, copying in enumerate(("t", "nil")):
        path = scene.mounted / f"text-{number}"
        path.write_text(LINES)
        path.chmod(0o640)
        scene.run("emacs", "-Q", "--batch", "--eval",
                  f"(progn (setq backup-by-copying {copying} version-control t create-lockfiles t"
                  " make-backup-files t backup-enable-predicate (lambda (_) t))"
                  f'(find-file "{path}")'
                  '(goto-char (point-max)) (insert "the end\\n") (save-buffer)'
                  '(insert "really\\n") (save-buffer))')
        scene.remount()
        scene.expect_equal(path.read_text(), LINES + "the end\nreally\n", f"{path} saved by emacs")
        scene.expect_equal(oct(path.stat().st_mode), "0o100640", f"mode of {path}")
        scene.expect_equal((scene.mounted / f"text-{number}.~1~").read_text(), LINES, f"backup of {path}")
    scene.expect_names(scene.mounted, ["text-0", "text-0.~1~", "text-1", "text-1.~1~"])


@case("editors", needs=["sed", "perl"])
def edit_in_place(scene):
    """sed -i and perl -i replace a file, with its mode and a backup"""
    path = scene.mounted / "text"
    path.write_text(LINES)
    path.chmod(0o755)
    scene.run("sed", "-i", "s/^line 1$/first/", path)
    scene.run("perl", "-pi.old", "-e", "s/^line 2$/second/", path)
    scene.remount()
    expected = LINES.replace("line 1\n", "first\n", 1)
    scene.expect_equal((scene.mounted / "text.old").read_text(), expected, "what perl -i.old kept")
    scene.expect_equal(path.read_text(), expected.replace("line 2\n", "second\n", 1), f"{path}")
    scene.expect_equal(oct(path.stat().st_mode), "0o100755", f"mode of {path}")
    scene.expect_names(scene.mounted, ["text", "text.old"])


@case("editors", needs=["sh"])
def shell_redirections(scene):
    """the shell's >, >>, several commands into one file, and a here document"""
    script = """
        set -eC
        echo one >plain
        { echo a; echo b; cat plain; } >group
        for n in 1 2 3; do echo $n; done >>plain
        cat >here <<END\nin here\nEND
        ! (echo no >plain) 2>/dev/null
        set +C
        echo over >|group
        seq 1 200000 | tee numbers | tail -n1 >last
        : >empty
        exec 3<>both; echo first >&3; echo second >&3; exec 3>&-
        cmp numbers /dev/fd/0 <<END\n$(seq 1 200000)\nEND
    """
    scene.run("bash", "-c", script, cwd=scene.mounted)
    scene.remount()
    for name, expected in {"plain": "one\n1\n2\n3\n", "group": "over\n", "here": "in here\n", "empty": "",
                           "last": "200000\n", "both": "first\nsecond\n"}.items():
        scene.expect_equal((scene.mounted / name).read_text(), expected, f"{scene.mounted / name}")


@case("editors", needs=["sox"])
def sox_header(scene):
    """sox writes a WAV of unknown length and then its header anew, after more than one part"""
    path = scene.mounted / "noise.wav"
    # From a pipe: sox learns the length only at the end.
    scene.run("bash", "-c", "set -o pipefail; sox -D -n -r 48000 -b 16 -c 2 -t raw - synth 70 sine 440 | "
              f"sox -D -t raw -r 48000 -b 16 -e signed -c 2 - {path}", limit=60)
    scene.remount()
    with wave.open(os.fspath(path), "rb") as file:
        scene.expect_equal(file.getnframes(), 70 * 48000, f"frames that the header of {path} tells")
    scene.expect_equal(path.stat().st_size, 44 + 70 * 48000 * 4, f"size of {path}")


@case("editors", needs=["python3"])
def shift_to_front(scene):
    """what a movie's "faststart" does: after writing, shift all bytes back through a second descriptor"""
    # ffmpeg does it so: the file is still open for writing, is opened again to read, and is rewritten
    # from the front with two buffers. ffmpeg's packages are too large to install for it.
    plain, path, index = scene.local / "plain", scene.mounted / "movie", b"index" * 60_000
    write_random(plain, 21 << 20, "movie")
    with open(path, "wb", buffering=0) as writer, open(plain, "rb") as source:
        while chunk := source.read(1 << 18):
            writer.write(chunk)
        shift(path, writer, index)
    scene.remount()
    with open(path, "rb") as found:
        scene.expect_equal(found.read(len(index)) == index, True, f"{path} begins with the index")
        scene.expect(found.read() == plain.read_bytes(), f"{path}: other bytes behind the index, expected {plain}")


def shift(path, writer, index):
    with open(path, "rb", buffering=0) as reader:
        waiting, position, left = index, 0, path.stat().st_size
        while waiting:
            read = reader.read(min(len(index), left))  # not what was written behind the old end
            left -= len(read)
            writer.seek(position)
            position += writer.write(waiting)
            waiting = read


@case("editors", needs=["dd"])
def dd_patches(scene):
    """dd conv=notrunc patches an older large object: middle, both ends, a hole behind its end"""
    plain, path = scene.local / "plain", scene.mounted / "image"
    write_random(plain, 30 << 20, "image")
    scene.run("cp", plain, path)
    scene.remount()
    for seek in (0, 5 << 20, (16 << 20) - 100, (30 << 20) - 7, 41 << 20):
        for target in (plain, path):
            scene.run("bash", "-c", f"head -c 12345 /etc/passwd | tr a-z A-Z | dd of={target} bs=512 iflag=fullblock "
                      f"oflag=seek_bytes seek={seek} conv=notrunc status=none")
        scene.run("cmp", plain, path)
    for size in (33 << 20, 9 << 20, 100):
        for target in (plain, path):
            scene.run("truncate", "-s", str(size), target)
        scene.run("cmp", plain, path)
    scene.remount()
    scene.run("cmp", plain, path)
