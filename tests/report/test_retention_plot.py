"""The heat map of a retention matrix."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from seal_env.errors import MissingExtraError
from seal_env.report.retention_plot import draw_retention, retention_figure


def test_the_picture_is_darker_where_more_is_retained(tmp_path: Path) -> None:
    (axes,) = retention_figure([[0.0, 1.0, None]], "fixed").axes
    (image,) = axes.images
    light, dark, unknown = (sum(colour[:3]) for colour in image.to_rgba(np.ma.asarray(image.get_array()))[0])
    assert dark < unknown < light
    assert [text.get_text() for text in axes.texts] == ["0", "100"]


def test_a_missing_matplotlib_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"seal-env\[plots\]"):
        draw_retention([[0.0]], "fixed", tmp_path / "matrix.png")
