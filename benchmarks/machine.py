"""Names the machine that the other benchmarks' figures were taken on."""

import platform
from pathlib import Path

import psutil


def machine() -> str:
    """Describe the processor, its cores, the memory and the Python."""
    name = platform.processor() or platform.machine()
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{name}, {psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    print(f"machine: {machine()}")
