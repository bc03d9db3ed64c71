"""Many clinics, some of them in every kind of trouble, and a run that is killed again and again: `make test-fleet`.

CLINICS (200) and KILLS (20) make it smaller.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import fleets, servers

CLINICS = int(os.environ.get("CLINICS", "200"))
KILLS = int(os.environ.get("KILLS", "20"))
pytestmark = pytest.mark.long

MIGRATE = ("migrate", "--no-backup", "test", "--no-rehearsal", "test", "--max-failures", str(CLINICS), "--json")
#: Memory, in MB, by which the workers' may grow from the first quarter of a run to its last.
GROWTH = 20


def start(clinics, *words):
    return subprocess.Popen(
        [sys.executable, "manage.py", "fleet", *words],
        cwd=servers.PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **clinics.environment},
    )  # fmt: skip


def look(clinics, *words):
    process = start(clinics, "status", "--json", *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode in (0, 3), err
    return json.loads(out)


def states(report):
    counts = {}
    for one in report["clinics"]:
        kind = one["clinic"].partition("_")[0]
        counts.setdefault(kind, {}).setdefault(one["state"], 0)
        counts[kind][one["state"]] += 1
    return counts


def memory(pid):
    """MB of the processes below this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
            if int(words[1]) == pid:
                found.append(int((path.parent / "statm").read_text().split()[1]) * 4096 / 1e6)
        except OSError:
            continue
    return max(found, default=0.0)


def test_fleet__of_hundreds_in_trouble_and_killed_often__each_ends_migrated_or_named(tmp_path):
    few = max(CLINICS // 25, 2)
    strange = {
        "drifted": (fleets.DRIFTED, few),
        "failing": (fleets.FAILING, max(CLINICS // 40, 2)),
        "unreachable": ("", max(CLINICS // 70, 1)),
        "foreign": (fleets.FOREIGN, max(CLINICS // 100, 1)),
    }
    started = time.monotonic()
    clinics = fleets.make(tmp_path, many=CLINICS, strange=strange)
    made = time.monotonic() - started
    chance, killed = random.Random(CLINICS), 0
    for _ in range(KILLS):
        process = start(clinics, *MIGRATE)
        try:
            process.communicate(timeout=chance.uniform(1.0, 8.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
    left = len(clinics.lacking())

    process, seen = start(clinics, *MIGRATE, "--anew"), []
    while process.poll() is None:
        seen.append(memory(process.pid))
        try:
            out, err = process.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode == 1, err
    report = json.loads(out)
    counts = states(report)
    ours = CLINICS - sum(count for _, count in strange.values())
    assert counts == {
        "clinic": {"done": ours},
        "drifted": {"done": strange["drifted"][1]},
        "failing": {"failed": strange["failing"][1]},
        "unreachable": {"failed": strange["unreachable"][1]},
        "foreign": {"refused": strange["foreign"][1]},
    }
    assert all(one["reason"] for one in report["clinics"] if one["state"] != "done")
    assert clinics.lacking() == []

    cold = look(clinics)
    assert states(cold) == {
        "clinic": {"ok": ours},
        "drifted": {"drifted": strange["drifted"][1]},
        "failing": {"failed": strange["failing"][1]},
        "unreachable": {"unreachable": strange["unreachable"][1]},
        "foreign": {"foreign": strange["foreign"][1]},
    }
    warm = look(clinics)
    quarter = max(len(seen) // 4, 1)
    early, late = max(seen[:quarter]), max(seen[-quarter:])
    print(
        f"\n{CLINICS} clinics made in {made:.0f} s; killed {killed} times, {left} were behind then; the run to the end "
        f"{report['seconds']:.0f} s; a worker's memory {early:.0f} MB early, {late:.0f} MB late; "
        f"status {cold['seconds']:.1f} s at first, {warm['seconds']:.1f} s again"
    )
    # The run has told what it found, so that the first look is as short as any other.
    assert max(cold["seconds"], warm["seconds"]) < 5
    assert late < early + GROWTH
    servers.stop(clinics.server)


def test_fleet__failing_canary__touches_no_other(tmp_path):
    clinics = fleets.make(tmp_path, many=max(CLINICS // 20, 4), strange={"failing": (fleets.FAILING, 1)})
    text = clinics.path.read_text(encoding="utf-8")
    clinics.path.write_text(f'waves = ["failing"]\n{text}', encoding="utf-8")
    before = clinics.lacking()
    process = start(clinics, *MIGRATE)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert {one["state"] for one in json.loads(out)["clinics"] if one["wave"] > 1} == {"waiting"}
    assert clinics.lacking() == before
    assert len(before) == max(CLINICS // 20, 4) - 1
    servers.stop(clinics.server)
