"""What glee does on a GPU, in at most 8 minutes: tests, speed, a report. It needs no network.

python benchmarks/gpu.py --json gpu.json

Each part runs in a process of its own with a time limit, and the report (gpu.json, gpu.txt beside
it) is written anew after each, so that a part that hangs or breaks costs itself alone. Where torch
finds no CUDA, one line says so. `--device cpu --quick` tries every part with small sizes anywhere;
its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LIMIT = 480
# Seconds of each part at most; together they leave some of the 8 minutes.
PARTS = {"peak": 40, "training": 130, "loading": 60, "networks": 90, "tests": 145}
SHOWN_LINES = 12


def path_to_glee(folder: Path) -> str:
    """Where `import glee` finds this checkout, if it is not installed: a link in the folder."""
    if importlib.util.find_spec("glee") is None:
        (folder / "glee").symlink_to(ROOT)
        sys.path.insert(0, str(folder))
        return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ.get("PYTHONPATH", "")


def machine_lines(torch: Any, device: str) -> dict[str, Any]:
    """The GPU and the versions that count."""
    about: dict[str, Any] = {"device": device, "torch": torch.__version__}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        about |= {
            "gpu": properties.name,
            "memory_gb": properties.total_memory / 1e9,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return about


def run_part(name: str, given: argparse.Namespace, limit: float) -> dict[str, Any]:
    """One part in its own process: what it found, or why it found nothing."""
    began = time.perf_counter()
    command = [sys.executable, str(Path(__file__)), "--part", name, "--device", given.device]
    command += ["--seed", str(given.seed), "--seconds", f"{0.6 * limit:.0f}"]
    command += ["--quick"] if given.quick else []
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
        )
        try:
            found, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            found, _ = process.communicate()
            found += "\n" + json.dumps({"failed": f"not done after {limit:.0f} s"})
        said.seek(0)
        errors = "\n".join(said.read().splitlines()[-SHOWN_LINES:])
    result = _joined(found)
    if process.returncode and "failed" not in result:
        result["failed"] = f"exit status {process.returncode}\n{errors}"
    return {**result, "seconds": time.perf_counter() - began}


def _joined(printed: str) -> dict[str, Any]:
    """All JSON lines that a part printed as it went; later ones add to the earlier."""
    result: dict[str, Any] = {}
    for line in printed.splitlines():
        if line.startswith("{"):
            for key, value in json.loads(line).items():
                old = result.get(key)
                result[key] = old + value if isinstance(old, list) else value
    return result


def say(**found: Any) -> None:
    """Hand a part's figure to the process that asked for it."""
    print(json.dumps(found), flush=True)


def report(content: dict[str, Any]) -> str:
    """The same for people."""
    lines = ["glee on a GPU: " + ", ".join(f"{k} {v}" for k, v in content["machine"].items())]
    if content["quick"] or content["machine"]["device"] == "cpu":
        lines.append("A TRIAL with small sizes or without a GPU: the figures mean nothing.")
    for name, found in content["parts"].items():
        lines += ["", f"{name} ({found['seconds']:.0f} s)"]
        for key, value in found.items():
            if isinstance(value, list):
                lines.append(f"  {key}:")
                lines += ["    " + "  ".join(_cell(*item) for item in row.items()) for row in value]
            elif key != "seconds":
                lines.append(f"  {key}: {value}")
    return "\n".join(lines) + "\n"


def _cell(name: str, value: Any) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def write(path: Path | None, content: dict[str, Any]) -> None:
    """JSON, and the text beside it."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1) + "\n")
        path.with_suffix(".txt").write_text(report(content))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="report; its text goes beside it, as .txt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="some of the parts")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run the parts, or one of them as a process of its own."""
    given, began = arguments(), time.perf_counter()
    try:
        import torch
    except ImportError:
        print("no torch here; nothing is measured")
        return 2
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA here: torch finds no GPU; nothing is measured (--device cpu --quick tries)")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPATH"] = path_to_glee(Path(folder))
        if given.part:
            import gpu_parts

            parts: dict[str, Callable[[argparse.Namespace], None]] = gpu_parts.PARTS
            parts[given.part](given)
            return 0
        content: dict[str, Any] = {
            "machine": machine_lines(torch, given.device),
            "seed": given.seed,
            "quick": given.quick,
            "parts": {},
        }
        for name in given.only or PARTS:
            left = LIMIT - (time.perf_counter() - began)
            content["parts"][name] = run_part(name, given, min(PARTS[name], left))
            write(given.json, content)
    content["seconds"] = time.perf_counter() - began
    write(given.json, content)
    print(report(content))
    return 1 if any("failed" in part for part in content["parts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
