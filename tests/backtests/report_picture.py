"""The picture of a report for the README: `python tests/backtests/report_picture.py [docs/report.png]`.

Real daily prices of the sample, `strategies/ma_cross.py`, its certificate, vectorbt's judgement, and what
`research.validate` found against it; drawn by chromium in the light theme.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1240, 1330
COLOURS = 96


def main(path: Path) -> None:
    """Write the picture, as a palette image so that it stays small."""
    sys.path.insert(0, str(CHECKOUT))
    from backtests.engine import run_backtest
    from backtests.rows import load_rows
    from research.validate import validate
    from strategies.common.load import load_strategy

    strategy, rows = load_strategy("ma_cross"), load_rows("sample", start="2004-08-19")
    verdict = validate(strategy, rows.bars, {"fast": 10, "slow": 50}, sets=60, ledger=None)
    result = run_backtest(rows.bars, strategy, {"fast": 10, "slow": 50}, origin=rows.origin, ledger=None)
    with tempfile.TemporaryDirectory() as folder:
        report = result.report(
            Path(folder) / "report.html", certificate=verdict.certificate, evidence=verdict.evidence()
        )
        shot = photograph(report)
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    path.parent.mkdir(exist_ok=True)
    picture.save(path, optimize=True)


def photograph(report: Path) -> bytes:
    """A screenshot of the top of a report."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
            device_scale_factor=1.5,
        )
        page.goto(report.as_uri())
        shot = page.screenshot()
        browser.close()
    return shot


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "docs" / "report.png")
