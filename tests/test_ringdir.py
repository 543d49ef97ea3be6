"""Where rings stand: in a folder of ours, which nobody else can read or has put there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lakeward.errors import Terminal
from lakeward.lakedir import open_lake
from lakeward.ringdir import private_folder, ring_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = private_folder(tmp_path / "rings")
    finally:
        os.umask(old)
    assert mode(made) == 0o700


def test_a_folder_of_ours_that_others_could_read_is_shut(tmp_path: Path) -> None:
    (tmp_path / "rings").mkdir()
    (tmp_path / "rings").chmod(0o777)
    assert mode(private_folder(tmp_path / "rings")) == 0o700


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "rings").symlink_to(elsewhere)
    with pytest.raises(Terminal, match="is a link and is not trusted"):
        private_folder(tmp_path / "rings")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "rings"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65_534, -1)
    with pytest.raises(Terminal, match="belongs to another user"):
        private_folder(theirs)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "rings").write_text("")
    with pytest.raises(Terminal, match="is not a folder"):
        private_folder(tmp_path / "rings")


def test_the_rings_of_a_lake_stand_in_such_a_folder(tmp_path: Path) -> None:
    rings = tmp_path / "rings"
    rings.mkdir(mode=0o755)
    assert ring_folder(open_lake(tmp_path / "data-lake"), rings) == rings
    assert mode(rings) == 0o700
