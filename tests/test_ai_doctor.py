"""What `lakeward doctor` says of the prices of AI turns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Lake
from lakeward.cli import prices
from lakeward.settings import load


def asked(lake: Lake, *arguments: str, **env: str) -> str:
    lake.collector().commit(60)
    command = [sys.executable, "-m", "lakeward.cli", "doctor", *arguments]
    done = subprocess.run(command, env=lake.process_env(**env), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_doctor_names_the_tables_of_prices(lake: Lake, tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[[price]]\nmodel = "m"\ninput = 1\n')
    assert "prices    genai-prices 0.2.3\n" in asked(lake)
    found = asked(lake, LAKEWARD_AI_PRICES=str(own))
    assert "prices    1 rows of your own; genai-prices 0.2.3\n" in found


def test_the_doctor_says_why_nothing_is_priced(lake: Lake, tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[[price]]\nmodel = "m"\ninput = "1"\n')
    sentence = f"{own}, row 1: input must be US dollars from 0 to 1000000, such as 2.5"
    found = asked(lake, LAKEWARD_AI_PRICES=str(own))
    assert f"prices    AI turns get no cost: {sentence}\n" in found
    answer = json.loads(asked(lake, "--format", "json", LAKEWARD_AI_PRICES=str(own)))
    assert answer["prices"] == {"own": 0, "genai_prices": "0.2.3", "fault": sentence}


def test_the_doctor_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "available", lambda: False)
    found = prices.price_tables(load({}, tmp_path))
    assert found.genai_prices is None
    assert "pip install 'lakeward[ai]'" in prices.told(found)
