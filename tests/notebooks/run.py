"""Execute every notebook of `notebooks/` from top to bottom; the first error fails the run.

    python tests/notebooks/run.py [--write] [NAME ...]

Notebooks are kept as py:percent files. `--write` keeps the executed `.ipynb` beside each (git ignores it).
NAME is the start of a file name: `02` runs `02_data.py`.
"""

import argparse
import sys
import time
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CELL_SECONDS = 120


def execute(path: Path, write: bool = False) -> str | None:
    """Run one notebook in a fresh kernel; the error's text, or None."""
    import jupytext
    import nbclient
    import nbformat

    notebook = jupytext.read(path)
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    error = None
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as failure:
        error = str(failure)
    except nbclient.exceptions.CellTimeoutError:
        error = f"a cell takes more than {CELL_SECONDS} s"
    except nbclient.exceptions.DeadKernelError:
        error = "the kernel died"
    if write:
        nbformat.write(notebook, path.with_suffix(".ipynb"))
    return error


def main(arguments: list[str] | None = None, folder: Path = NOTEBOOKS) -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks; the first error fails the run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="start of a file name; default: all")
    parser.add_argument("--write", action="store_true", help="keep the executed .ipynb beside each")
    options = parser.parse_args(arguments)

    paths = sorted(folder.glob("*.py"))
    chosen = [path for path in paths if not options.names or path.name.startswith(tuple(options.names))]
    for name in options.names:
        if not any(path.name.startswith(name) for path in paths):
            print(f"no notebook starts with {name!r}; there are: {', '.join(path.stem for path in paths)}")
            return 2
    for path in chosen:
        began = time.perf_counter()
        error = execute(path, options.write)
        print(f"{'FAILED' if error else 'ok':6} {time.perf_counter() - began:6.1f} s  {path.name}", flush=True)
        if error:
            print(error)
            return 1
    print(f"{len(chosen)} notebooks executed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
