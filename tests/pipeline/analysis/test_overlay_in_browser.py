"""The overlay plays in a browser: headless Chromium, where there is one, decodes every part."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.analysis.inputs import AnalyzeOptions

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE = """<!doctype html><title>waiting</title><video id="v" src="NAME" muted></video><script>
const video = document.getElementById("v");
const tell = text => document.title = text;
video.onerror = () => tell("error " + video.error.code + " " + video.error.message);
video.onloadeddata = () => { video.currentTime = video.duration / 2; };
video.onseeked = () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  tell(["played", video.videoWidth, video.videoHeight, video.duration.toFixed(2)].join(" "));
};
// The browser's virtual time does not wait for a video's decoder: this work lets real time pass.
let work = 0;
setInterval(() => { for (let i = 0; i < 4e6; i++) work += i % 7; }, 20);
</script>"""


def test_chromium_plays_the_overlay(videos, tmp_path):
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    options = AnalyzeOptions(video=True, format="arkit")
    (done,) = analyze(videos[:1], tmp_path, options=options, progress=False)
    overlay = next(path for path in done.paths if path.suffix == ".mp4")
    page = tmp_path / "page.html"
    page.write_text(PAGE.replace("NAME", overlay.name))
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
    shown = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    title = re.search(r"<title>(.*?)</title>", shown.stdout)
    assert title is not None, shown.stderr[-500:]
    what, width, height, seconds = title.group(1).split()
    assert what == "played"
    assert (int(width) % 2, int(height)) == (0, 540)
    assert float(seconds) == pytest.approx(done.frames / 20, abs=0.1)
