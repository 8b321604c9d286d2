"""The picture of a report for the README: `python tests/backtests/report_picture.py [docs/report.png]`.

Real daily prices of the sample, `strategies/ma_cross.py`, its certificate, vectorbt's judgement; drawn by chromium in
the light theme.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1240, 1645
COLOURS = 96


def main(path: Path) -> None:
    """Write the picture, as a palette image so that it stays small."""
    sys.path.insert(0, str(CHECKOUT))
    from backtests.engine import run_backtest
    from data.sources import sample
    from strategies.common.certify import certify
    from strategies.common.load import load_strategy

    origin = {"source": "sample: WIKI end-of-day prices, adjusted", "simulated": sample.SIMULATED}
    result = run_backtest(sample.load(), "ma_cross", origin=origin)
    with tempfile.TemporaryDirectory() as folder:
        report = result.report(Path(folder) / "report.html", certificate=certify(load_strategy("ma_cross")))
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
