"""pjdfstest: what POSIX says of file systems, call by call."""

import re
from pathlib import Path

from cargo_tools import cargo_program
from cases import case
from rig import REPOSITORY

EXCUSED = REPOSITORY / "tests" / "programs" / "pjdfstest_excused.txt"
CONFIGURATION = REPOSITORY / "tests" / "programs" / "pjdfstest.toml"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^(\S+::\S+)\s+(ok|FAILED|skipped)$")
OTHER_FILE_SYSTEM = Path("/dev/shm")  # a second one, for what has to fail across two


def read_excused():
    """Name -> why. A line is a name, blanks, and the reason."""
    excused = {}
    for line in EXCUSED.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            excused[name] = reason.strip()
    return excused


def read_results(output):
    """Name -> (result, what it said)."""
    results, name = {}, None
    for line in COLOURS.sub("", output).splitlines():
        found = RESULT.match(line)
        if found:
            name = found[1]
            results[name] = (found[2], [])
        elif name and line.startswith("\t"):
            results[name][1].append(line.strip())
    return results


def judge(scene, results, excused):
    failed = {name for name, (result, _) in results.items() if result == "FAILED"}
    passed = {name for name, (result, _) in results.items() if result == "ok"}
    print(f"   pjdfstest: {len(passed)} passed, {len(failed)} failed, of these {len(failed & set(excused))} "
          f"excused, {len(results) - len(passed) - len(failed)} skipped")
    for name in sorted(passed & set(excused)):
        print(f"   {name} passes: its line in {EXCUSED.name} can go")
    unknown = sorted(set(excused) - set(results))
    scene.expect(not unknown, f"{EXCUSED}: {', '.join(unknown)}: no test of that name")
    scene.expect(all(excused.values()), f"{EXCUSED}: a line without a reason")
    bad = sorted(failed - set(excused))
    told = "".join(f"\n      {name}: {' '.join(results[name][1])[:300]}" for name in bad)
    scene.expect(not bad, f"{len(bad)} tests failed in {scene.mounted} that {EXCUSED.name} does not excuse:{told}")


# Other users have to come in, and the kernel then checks permissions by mode and owner.
@case("pjdfstest", options=["--allow-other"])
def pjdfstest(scene):
    """every test of pjdfstest passes but those that tests/programs/pjdfstest_excused.txt tells why not"""
    program = cargo_program("pjdfstest")
    scene.mounted.chmod(0o755)
    output = scene.run(program, "-c", CONFIGURATION, "-p", scene.mounted, "-s", OTHER_FILE_SYSTEM,
                       limit=600, codes=(0, 1), environment={"RUST_BACKTRACE": "0"})
    results = read_results(output)
    scene.expect(len(results) > 100, f"pjdfstest ran {len(results)} tests only:\n{output[-2000:]}")
    judge(scene, results, read_excused())
