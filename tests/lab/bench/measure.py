"""What the kernel and the service's own metrics say about a process; all from outside of it."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_STAGE = re.compile(r'^photochanger_stage_seconds_(sum|count)\{stage="([^"]+)"\} (\S+)$', re.MULTILINE)

Stages = dict[str, tuple[float, float]]
"""Stage: seconds, photos."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. Raises ValueError when there is no value."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def memory_now(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    return _memory(pid, "VmRSS")


def memory_peak(pid: int) -> float:
    """The highest resident memory in MB since `forget_memory_peak`."""
    return _memory(pid, "VmHWM")


def forget_memory_peak(pid: int) -> None:
    """Begin `memory_peak` anew. The kernel keeps it, so no peak is missed between two looks."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """Processor time of the process, all threads, user and system; not of its children."""
    return _cpu(Path(f"/proc/{pid}/stat"))


def loop_cpu_seconds(pid: int) -> float:
    """The share of `cpu_seconds` that the main thread took: in a Trio program the event loop."""
    return _cpu(Path(f"/proc/{pid}/task/{pid}/stat"))


def stages(metrics: str) -> Stages:
    """The sums of `photochanger_stage_seconds` in a Prometheus text."""
    found: dict[str, dict[str, float]] = {}
    for kind, stage, value in _STAGE.findall(metrics):
        found.setdefault(stage, {})[kind] = float(value)
    return {stage: (values["sum"], values["count"]) for stage, values in found.items()}


def stage_means(before: Stages, after: Stages) -> Mapping[str, float]:
    """Mean seconds per photo and stage between two readings."""
    means = {}
    for stage, (seconds, count) in after.items():
        earlier = before.get(stage, (0.0, 0.0))
        if count > earlier[1]:
            means[stage] = (seconds - earlier[0]) / (count - earlier[1])
    return means


def machine() -> str:
    """One line: cores, processor, memory, system, Python."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    release, python = os.uname(), platform.python_version()
    return (
        f"{len(os.sched_getaffinity(0))} cores, {model[1] if model else 'unknown processor'}, "
        f"{int(memory[1]) / 1e6 if memory else 0:.0f} GB, {release.sysname} {release.release}, Python {python}"
    )


def _cpu(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int, field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6
