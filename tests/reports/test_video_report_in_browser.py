"""The report of one video in headless Chromium: it plays, moves, is steered by keys and mouse."""

from __future__ import annotations

import json
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from glee.reports.video_report import video_report

RATE, COUNT = 25, 200
LEFT, UP, RIGHT, DOWN, SPACE = 37, 38, 39, 40, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos at an even and at a variable frame rate, and the table of either."""
    out = tmp_path_factory.mktemp("clips")
    even = np.arange(COUNT) / RATE
    variable = np.cumsum(np.r_[0, np.resize([0.02, 0.02, 0.08], COUNT - 1)]).round(3)
    for name, times in (("even", even), ("variable", variable)):
        write_clip(out / f"{name} clip #1.mp4", times)
        write_table(out / f"{name}.parquet", times)
    return out


def shade_of(frame):
    """By which a frame of the clip is known from its neighbours."""
    return 30 + 10 * (frame % 20)


def write_clip(path, times):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", RATE)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"bf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, time in enumerate(times):
            picture = np.full((120, 160, 3), shade_of(i), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = round(1000 * time)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def write_table(path, times):
    smile = np.zeros(COUNT)
    smile[50:80] = 3
    smile[150:170] = 2
    brows = np.zeros(COUNT)
    brows[100:120] = 4
    table = {"frame": np.arange(COUNT), "face_id": 0, "timestamp": times, "valid": 1}
    table |= {"AU01_r": brows, "AU01_std": 0.4, "AU12_r": smile, "AU12_std": 0.5}
    pd.DataFrame(table).to_parquet(path)


def opened(page, folder, name, video=True, overlay=False, **size):
    out = folder / "reports" / f"{name}.html"
    out.parent.mkdir(exist_ok=True)
    video = folder / f"{name} clip #1.mp4" if video is True else video or None
    video_report(folder / f"{name}.parquet", out, video, overlay=overlay)
    page.said.clear()
    page.requests.clear()
    page.open(out, **size)
    if video and video.suffix == ".mp4" and video.exists():
        page.until("video.readyState > 1")


def place(page):
    return int(page.value("document.documentElement.dataset.place"))


def shown(page):
    """The frame that the video shows once it has come to rest."""
    page.until("!video.seeking && video.paused")
    return page.value("frameOfMedia(video.currentTime)")


def quiet(page):
    """Nothing was complained of, and nothing asked for but the page and the video."""
    page.value("1")
    assert page.said == []
    asked = {url for url in page.requests if not url.startswith("data:")}
    assert all(url.startswith("file://") for url in asked), asked
    assert len(asked) <= 2


@pytest.mark.parametrize("name", ["even", "variable"])
def test_the_cursor_moves_with_the_video_as_it_plays(page, folder, name):
    opened(page, folder, name)
    page.press(" ", SPACE)
    page.until("+document.documentElement.dataset.place > 12")
    page.press(" ", SPACE)
    page.until("video.paused")
    page.until("+document.documentElement.dataset.place === frameOfMedia(video.currentTime)")
    times = pd.read_parquet(folder / f"{name}.parquet").timestamp.to_numpy()
    time = page.value("video.currentTime")
    assert place(page) == np.searchsorted(times, time + 1e-4, side="right") - 1
    middle = np.append(times, 2 * times[-1] - times[-2])[place(page) : place(page) + 2].mean()
    left = page.value(
        "(e => (e.left + e.width / 2 - e.parentElement.getBoundingClientRect().left) / "
        "e.parentElement.getBoundingClientRect().width)(Object.assign(document.querySelector("
        "'.row:not(.axis) u').getBoundingClientRect(), {parentElement: document.querySelector("
        "'.row:not(.axis) .plot')}))"
    )
    assert left == pytest.approx(middle / (times[-1] + np.median(np.diff(times))), abs=0.003)
    quiet(page)


@pytest.mark.parametrize(("name", "second"), [("even", 25), ("variable", None)])
def test_keys_go_by_frame_second_and_event(page, folder, name, second):
    opened(page, folder, name)
    times = pd.read_parquet(folder / f"{name}.parquet").timestamp.to_numpy()
    for _ in range(3):
        page.press("ArrowRight", RIGHT)
    assert place(page) == shown(page) == 3
    page.press("ArrowLeft", LEFT)
    assert place(page) == shown(page) == 2
    page.press("ArrowRight", RIGHT, shift=True)
    later = np.searchsorted(times, times[2] + 1 + 1e-4, side="right") - 1
    assert place(page) == shown(page) == later
    assert second is None or later == 2 + second
    onsets = sorted(event[0] for event in json.loads(page.value("JSON.stringify(data.events)")))
    assert len(onsets) == 3
    for onset in [onset for onset in onsets if onset > later]:
        page.press("ArrowDown", DOWN)
        assert place(page) == shown(page) == onset
    assert page.value("document.getElementById('said').textContent").startswith("AU12 from ")
    page.press("ArrowUp", UP)
    assert place(page) == onsets[-2]
    assert page.value("document.querySelectorAll('tr.current').length") == 1
    quiet(page)


@pytest.mark.parametrize("name", ["even", "variable"])
def test_the_picture_is_that_of_the_frame(page, folder, tmp_path, name):
    opened(page, folder, name)
    for frame in (0, 7, 33, 100, 151, 199):
        page.value(f"seek({frame})")
        assert shown(page) == frame
        page.value("document.querySelector('video').removeAttribute('controls')")
        end = time.monotonic() + 10
        while abs(brightness(page, tmp_path) - shade_of(frame)) > 4:
            assert time.monotonic() < end, (frame, brightness(page, tmp_path))


def brightness(page, folder):
    """Of the middle of the video, as the browser shows it."""
    page.picture(folder / "shot.png")
    place = "video.getBoundingClientRect()"
    x, y = (
        page.value(f"{place}.{a} + {place}.{b} / 2") for a, b in (("x", "width"), ("y", "height"))
    )
    return float(cv2.imread(str(folder / "shot.png"))[int(y), int(x)].mean())


def test_the_overlay_counts_frames_of_one_length(page, folder):
    """An overlay has the table's frames at one rate, whatever their own times are."""
    (folder / "variable.overlay.mp4").write_bytes((folder / "even clip #1.mp4").read_bytes())
    opened(page, folder, "variable", folder / "variable.overlay.mp4", overlay=True)
    page.value("seek(150)")
    assert shown(page) == place(page) == 150
    assert page.value("video.currentTime") == pytest.approx(150.5 / RATE, abs=0.5 / RATE)


def test_a_drag_on_a_curve_and_a_click_in_the_table_seek(page, folder):
    opened(page, folder, "even")
    box = "document.querySelectorAll('.row .plot')[1].getBoundingClientRect()"
    left, width, top = (page.value(f"{box}.{what}") for what in ("left", "width", "top"))
    across = [(left + width * share, top + 20) for share in (0.1, 0.3, 0.5)]
    page.drag(*across)
    assert place(page) == shown(page) == pytest.approx(100, abs=1)
    page.value("document.querySelector('tbody button').click()")
    assert place(page) == page.value("data.events[0][0]")
    said = page.value("document.querySelector('[role=slider]').getAttribute('aria-valuetext')")
    assert said.endswith(f"frame {place(page)}")
    assert page.value("document.querySelector('.value').textContent") != "0.0 ± 0.5"
    quiet(page)


@pytest.mark.parametrize("video", [False, "none.mp4", "text.avi"])
def test_the_curves_are_read_without_a_video_that_plays(page, folder, video):
    (folder / "text.avi").write_text("no video")
    opened(page, folder, "even", folder / video if video else False)
    if video:
        page.until("!document.getElementById('unplayable').hidden")
    page.press("ArrowDown", DOWN)
    assert place(page) == page.value("data.events[0][0]")
    assert page.value("document.querySelector('.note').offsetHeight") > 0
    assert not [line for line in page.said if "rror: " in line or "Refused" in line]


@pytest.mark.parametrize("width", [400, 1300])
def test_it_fits_its_window(page, folder, width):
    opened(page, folder, "even", width=width)
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    assert page.value("document.querySelectorAll('.row .plot')[1].offsetWidth") > width / 2


def test_the_policy_lets_no_other_script_run(page, folder):
    opened(page, folder, "even")
    page.value(
        "{ const s = document.createElement('script'); s.textContent = 'window.ran = 1'; "
        "document.body.append(s); new Image().src = 'http://127.0.0.1:9/'; 0 }"
    )
    assert page.value("window.ran === undefined")
    page.until("true")
    assert any("Content Security Policy" in line for line in page.said)


def test_print_shows_all_curves_and_no_video(page, folder):
    opened(page, folder, "even")
    page.call(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    try:
        page.value("dispatchEvent(new Event('beforeprint'))")
        assert page.value("document.querySelector('.stage').offsetHeight") == 0
        plots = page.value("[...document.querySelectorAll('.row .plot')].map(e => e.offsetHeight)")
        assert len(plots) == 3
        assert min(plots) > 20
        # Ink on white, also where the screen is dark.
        assert page.value("getComputedStyle(document.body).color") == "rgb(26, 26, 26)"
    finally:
        page.call("Emulation.setEmulatedMedia", media="", features=[])
