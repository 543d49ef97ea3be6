"""Settings: the environment, then `.env.<environment>`, then one documented table of defaults."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from lakeward.errors import SettingError
from lakeward.settings import (
    SETTINGS,
    Setting,
    Settings,
    load,
    read_env_file,
    render_markdown,
)

ROWS = {row.env: row for row in SETTINGS}
by_row = pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.env)


def write(folder: Path, content: str | bytes, environment: str = "development") -> Path:
    path = folder / f".env.{environment}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(environ: dict[str, str], folder: Path) -> str:
    """The sentence with which the settings are refused, empty when they are taken."""
    try:
        load(environ, folder)
    except SettingError as error:
        return str(error)
    return ""


def of_kind(*kinds: str) -> list[Setting]:
    return [row for row in SETTINGS if row.kind in kinds]


NUMBERS = of_kind("bytes", "count", "seconds")


# Where a value comes from


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    assert load({}, tmp_path).app_version == "1.0.0"
    write(tmp_path, "APP_VERSION=2.0.0\n")
    assert load({}, tmp_path).app_version == "2.0.0"
    assert load({"APP_VERSION": "3.0.0"}, tmp_path).app_version == "3.0.0"


def test_the_file_is_that_of_the_environment_and_of_no_other(tmp_path: Path) -> None:
    write(tmp_path, "LAKEWARD_SERVICE=dev\n")
    write(tmp_path, "LAKEWARD_SERVICE=prod\nLAKEWARD_ENV=other\n", "production")
    found = load({"LAKEWARD_ENV": "production"}, tmp_path)
    assert (found.environment, found.service) == ("production", "prod")
    assert load({}, tmp_path).service == "dev"
    assert load({"LAKEWARD_ENV": "staging"}, tmp_path).service == ""


def test_an_empty_environment_name_is_development(tmp_path: Path) -> None:
    assert load({"LAKEWARD_ENV": ""}, tmp_path).environment == "development"


def test_the_process_environment_and_the_working_directory_are_the_default_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "LAKEWARD_SERVICE=from-file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKEWARD_ENV", raising=False)
    monkeypatch.delenv("LAKEWARD_SERVICE", raising=False)
    monkeypatch.setenv("APP_VERSION", "from-environment")
    found = load()
    assert (found.service, found.app_version) == ("from-file", "from-environment")


@pytest.mark.parametrize("name", ["../etc", "a b", ".", "-x", "x" * 65, "prod/../dev", "é"])
def test_an_environment_that_could_name_another_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="LAKEWARD_ENV must be letters, digits"):
        load({"LAKEWARD_ENV": name}, tmp_path)


# The file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=plain", "plain"),
        ("K = spaced ", "spaced"),
        ("export K=exported", "exported"),
        ("  export K=indented", "indented"),
        ('K="double # kept"', "double # kept"),
        ("K='single # kept'", "single # kept"),
        ("K='quoted' # comment", "quoted"),
        ('K=""', ""),
        ("K=", ""),
        ("K=value # comment", "value"),
        ("K=a#b", "a#b"),
        ("K=a=b==", "a=b=="),
        ('K="not closed', "not closed"),
        ("K=it's", "it's"),
        ("K=first\nK=second", "second"),
        ("K=windows\r\nL=1", "windows"),
        ("# K=comment\nK=kept", "kept"),
        ("no assignment\nK=kept", "kept"),
    ],
)
def test_lines_of_an_env_file_are_read_as_a_shell_would(
    tmp_path: Path, line: str, value: str
) -> None:
    assert read_env_file(write(tmp_path, line + "\n"))["K"] == value


def test_comments_and_other_lines_set_nothing(tmp_path: Path) -> None:
    assert read_env_file(write(tmp_path, "# A=1\n  # B=2\n\nC\n#D=4\n")) == {}


@pytest.mark.parametrize("line", ["K=  # nothing", "K=\t# nothing"])
def test_a_comment_behind_an_empty_value_is_not_the_value(tmp_path: Path, line: str) -> None:
    assert read_env_file(write(tmp_path, line))["K"] == ""


def test_a_comment_behind_a_tab_is_no_part_of_the_value(tmp_path: Path) -> None:
    assert read_env_file(write(tmp_path, "K=2.0\t# why"))["K"] == "2.0"


def test_a_byte_order_mark_does_not_hide_the_first_line(tmp_path: Path) -> None:
    write(tmp_path, b"\xef\xbb\xbfLAKEWARD_IP=none\n")
    assert load({}, tmp_path).ip == "none"


def test_an_absent_file_is_no_error(tmp_path: Path) -> None:
    assert load({}, tmp_path / "nowhere").app_version == "1.0.0"


def test_a_file_that_is_not_text_is_refused_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, b"LAKEWARD_IP=\xff\xfe\n")
    with pytest.raises(SettingError, match=r"^\.env\.development cannot be read"):
        load({}, tmp_path)


def test_a_folder_in_the_place_of_the_file_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / ".env.development").mkdir()
    with pytest.raises(SettingError, match=r"^\.env\.development cannot be read"):
        load({}, tmp_path)


# Placeholders


@pytest.mark.parametrize(
    "placeholder",
    ["your-key", "your_access_key_id", "YOUR KEY HERE", "<secret>", "changeme", "change-me-now",
     "replace_me", "TODO", "xxxx", "XXX", "example", "placeholder", "  your-key  "],
)  # fmt: skip
def test_a_placeholder_counts_as_absent(tmp_path: Path, placeholder: str) -> None:
    write(tmp_path, f'AWS_ACCESS_KEY_ID="{placeholder}"\nDATA_LAKE_BUCKET="{placeholder}"\n')
    found = load({"AWS_SECRET_ACCESS_KEY": placeholder}, tmp_path)
    assert found.aws_access_key_id == found.aws_secret_access_key == found.data_lake_bucket == ""


def test_a_placeholder_in_the_environment_does_not_shadow_the_file(tmp_path: Path) -> None:
    write(tmp_path, "AWS_ACCESS_KEY_ID=AKIAREALENOUGH\n")
    assert load({"AWS_ACCESS_KEY_ID": "your-key"}, tmp_path).aws_access_key_id == "AKIAREALENOUGH"


@pytest.mark.parametrize("value", ["yourkey", "examples", "xx", "our-key", "exchange-me"])
def test_what_only_resembles_a_placeholder_is_a_value(tmp_path: Path, value: str) -> None:
    assert load({"DATA_LAKE_BUCKET": value}, tmp_path).data_lake_bucket == value


# Kinds


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "Yes", "on", " true "])
def test_a_flag_can_be_switched_on(tmp_path: Path, text: str) -> None:
    assert load({"USE_S3": text}, tmp_path).use_s3 is True


@pytest.mark.parametrize("text", ["0", "false", "False", "NO", "off"])
def test_a_flag_can_be_switched_off(tmp_path: Path, text: str) -> None:
    assert load({"ENABLE_DATA_COLLECTION": text}, tmp_path).collect is False


def test_a_list_is_split_at_commas_and_empty_parts_are_dropped(tmp_path: Path) -> None:
    found = load({"LAKEWARD_HEADERS": " x-a, ,x-b,,", "LAKEWARD_EXCLUDE": ","}, tmp_path)
    assert found.headers == ("x-a", "x-b")
    assert found.exclude == ()


@pytest.mark.parametrize("row", of_kind("choice"), ids=lambda row: row.env)
def test_a_choice_takes_each_of_its_words_in_any_case_and_no_other(
    tmp_path: Path, row: Setting
) -> None:
    for choice in row.choices:
        assert getattr(load({row.env: choice.upper()}, tmp_path), row.name) == choice
    with pytest.raises(SettingError, match=f"^{row.env} must be one of {', '.join(row.choices)}$"):
        load({row.env: "anything"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "size"),
    [("300000", 300_000), ("512 KiB", 524_288), ("512kb", 524_288), ("512K", 524_288),
     ("8MiB", 8 << 20), ("8mb", 8 << 20), ("8M", 8 << 20), ("1GiB", 1 << 30), ("1G", 1 << 30),
     ("300000B", 300_000)],
)  # fmt: skip
def test_a_size_is_read_with_and_without_its_unit(tmp_path: Path, text: str, size: int) -> None:
    assert load({"LAKEWARD_RING_BYTES": text}, tmp_path).ring_bytes == size


@pytest.mark.parametrize("text", ["8 miles", "-8MiB", "8.5MiB", "MiB", "8MiBs", "0x10", "1e6"])
def test_what_is_no_size_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match=r"^LAKEWARD_RING_BYTES must be a size such as 8MiB$"):
        load({"LAKEWARD_RING_BYTES": text}, tmp_path)


@pytest.mark.parametrize("row", of_kind("bytes", "count"), ids=lambda row: row.env)
def test_a_number_is_taken_at_its_bounds_and_refused_beyond_them(
    tmp_path: Path, row: Setting
) -> None:
    for inside in (row.least, row.most):
        assert getattr(load({row.env: str(inside)}, tmp_path), row.name) == inside
    for outside in (row.least - 1, row.most + 1):
        if outside < 0:
            continue
        with pytest.raises(
            SettingError, match=f"^{row.env} must be between {row.least} and {row.most}$"
        ):
            load({row.env: str(outside)}, tmp_path)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e9"])
def test_seconds_are_finite_and_within_bounds(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match=r"^LAKEWARD_EXIT_SECONDS must be between 0 and 60$"):
        load({"LAKEWARD_EXIT_SECONDS": text}, tmp_path)


def test_seconds_may_have_a_fraction(tmp_path: Path) -> None:
    assert load({"LAKEWARD_EXIT_SECONDS": "0.25"}, tmp_path).exit_seconds == 0.25


@pytest.mark.parametrize("row", of_kind("count", "seconds"), ids=lambda row: row.env)
def test_what_is_no_number_is_refused(tmp_path: Path, row: Setting) -> None:
    with pytest.raises(SettingError, match=f"^{row.env} must be a number$"):
        load({row.env: "some"}, tmp_path)


@pytest.mark.parametrize("row", of_kind("flag"), ids=lambda row: row.env)
def test_what_is_neither_true_nor_false_is_refused(tmp_path: Path, row: Setting) -> None:
    with pytest.raises(SettingError, match=f"^{row.env} must be true or false$"):
        load({row.env: "maybe"}, tmp_path)


def test_folders_are_absolute_and_relative_ones_start_at_the_env_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load({}, tmp_path).lake_dir == tmp_path / "data-lake"
    assert load({"LAKEWARD_LAKE_DIR": "/srv/lake"}, tmp_path).lake_dir == Path("/srv/lake")
    assert load({"LAKEWARD_LAKE_DIR": "~/lake"}, tmp_path).lake_dir == tmp_path / "home" / "lake"
    assert load({}, tmp_path).ring_dir is None


@pytest.mark.parametrize("nothing", ["", "  "])
def test_nothing_is_absent_where_a_value_is_needed(tmp_path: Path, nothing: str) -> None:
    environ = {row.env: nothing for row in SETTINGS if row.kind not in {"text", "list"}}
    assert load(environ, tmp_path) == load({}, tmp_path)
    write(tmp_path, "LAKEWARD_LAKE_DIR=/from/file\nUSE_S3=true\n")
    found = load(environ, tmp_path)
    assert (found.lake_dir, found.use_s3) == (Path("/from/file"), True)


def test_nothing_is_a_value_for_text_and_lists(tmp_path: Path) -> None:
    write(tmp_path, "LAKEWARD_SERVICE=from-file\nLAKEWARD_EXCLUDE=/from/file\n")
    found = load({"LAKEWARD_SERVICE": "", "LAKEWARD_EXCLUDE": ""}, tmp_path)
    assert (found.service, found.exclude) == ("", ())


# What a refusal says


@pytest.mark.parametrize(
    "row", [row for row in SETTINGS if row.kind not in {"text", "list", "folder"}],
    ids=lambda row: row.env,
)  # fmt: skip
def test_a_refusal_names_the_variable_and_never_its_value(tmp_path: Path, row: Setting) -> None:
    value = "Kq7-hunter2-Zz9"
    write(tmp_path, f"{row.env}={value}\n")
    for environ in ({row.env: value}, {}):
        with pytest.raises(SettingError) as refused:
            load(environ, tmp_path)
        assert row.env in str(refused.value)
        assert value not in str(refused.value)


def test_the_settings_in_force_do_not_show_a_secret(tmp_path: Path) -> None:
    secrets = {row.env: f"Kq7-{row.name}-Zz9" for row in SETTINGS if row.secret}
    assert len(secrets) >= 4
    found = load(secrets, tmp_path)
    shown = f"{found} {found!r} {[found]}"
    assert not any(value in shown for value in secrets.values())
    assert [getattr(found, ROWS[env].name) for env in secrets] == list(secrets.values())


# The table


def test_each_row_is_one_attribute_and_each_attribute_one_row() -> None:
    assert [*(row.name for row in SETTINGS), "source"] == list(Settings.__struct_fields__)
    assert len(ROWS) == len(SETTINGS)


def expected_type(row: Setting) -> Any:
    if row.kind == "choice":
        return Literal[row.choices]
    if row.kind == "folder":
        return Path | None if not row.default else Path
    return {"text": str, "flag": bool, "count": int, "bytes": int, "seconds": float,
            "percent": int, "list": tuple[str, ...]}[row.kind]  # fmt: skip


@by_row
def test_an_attributes_type_is_that_of_its_row(row: Setting) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    found, expected = fields[row.name], expected_type(row)
    if get_origin(expected) is Literal:
        assert set(get_args(found)) == set(get_args(expected))
    else:
        assert found == expected


@by_row
def test_a_default_is_a_value_that_the_row_itself_would_take(tmp_path: Path, row: Setting) -> None:
    if row.env != "LAKEWARD_ENV":
        assert getattr(load({row.env: row.default}, tmp_path), row.name) == getattr(
            load({}, tmp_path), row.name
        )
    if row.kind == "choice":
        assert row.default in row.choices


def test_the_names_of_the_seed_are_kept_exactly() -> None:
    names = (
        "ENABLE_DATA_COLLECTION ENABLE_OUTCOME_TRACKING USE_S3 USE_DYNAMODB AWS_REGION"
        " AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY DATA_LAKE_BUCKET INTERACTIONS_TABLE APP_VERSION"
        " AI_MODEL TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN TWILIO_PHONE_NUMBER SENDGRID_API_KEY"
        " SENDGRID_FROM_EMAIL"
    )
    seed = set(names.split())
    assert seed <= set(ROWS)
    beside = {"AI_CONTENT"}  # stands with AI_MODEL
    assert all(env.startswith("LAKEWARD_") for env in set(ROWS) - seed - beside)


@by_row
def test_a_row_has_one_sentence_and_stands_in_the_page(row: Setting) -> None:
    assert re.fullmatch(r"[A-Z`].+\.", row.doc)
    [line] = [line for line in render_markdown().splitlines() if f"`{row.env}`" in line]
    assert row.doc in line
    assert line.count("|") == 4
    assert all(f"`{choice}`" in line for choice in row.choices)
    assert row.default in line
    assert ("Secret." in line) == row.secret


def test_credentials_are_marked_secret() -> None:
    named = {row.env for row in SETTINGS if re.search(r"SECRET|TOKEN|API_KEY|ACCESS_KEY", row.env)}
    assert named
    assert all(ROWS[env].secret for env in named)


# Whatever stands there

tried_hard = tries(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text(max_size=20).filter(lambda text: "~" not in text) | st.sampled_from(
    ["", " ", "-1", "0", "1", "9" * 30, "1e999", "nan", "inf", "true", "٣", "K", "8MiB", "10 GiB",
     "~/x", "/", "a,b", "full", "none", "spawn", "\x00", "é" * 300, "\ud800", "x" * 5000]
)  # fmt: skip


@tried_hard
@given(st.dictionaries(st.sampled_from(sorted(ROWS)), TEXTS, max_size=6))
def test_whatever_the_environment_holds_is_a_setting_or_a_setting_error(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    if sentence := refusal(environ, tmp_path):
        assert any(env in sentence for env in environ)
        assert "\n" not in sentence
    else:
        found = load(environ, tmp_path)
        assert all(row.least <= getattr(found, row.name) <= row.most for row in NUMBERS)


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ("LAKEWARD_RING_BYTES", "9" * 5000),
        ("LAKEWARD_LAKE_DIR", "~nobody-of-that-name/lake"),
        ("LAKEWARD_ENV", "production\n"),
    ],
    ids=["more digits than Python reads", "a home of nobody", "a name with a line's end"],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variable(
    tmp_path: Path, env: str, value: str
) -> None:
    with pytest.raises(SettingError, match=env):
        load({env: value}, tmp_path)


@tried_hard
@given(st.binary(max_size=60) | st.lists(st.tuples(st.sampled_from(sorted(ROWS)), TEXTS)))
def test_whatever_the_file_holds_is_a_setting_or_a_setting_error(
    tmp_path: Path, content: bytes | list[tuple[str, str]]
) -> None:
    if isinstance(content, list):
        text = "\n".join(f"{env}={value}" for env, value in content)
        content = text.encode("utf-8", "surrogatepass")
    write(tmp_path, content)
    sentence = refusal({}, tmp_path)
    assert not sentence or any(env in sentence for env in [*ROWS, ".env.development"])


def test_a_file_that_may_not_be_read_is_not_taken_for_an_absent_one() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder, "LAKEWARD_IP=none\n").chmod(0)
        pid = os.fork()
        if pid == 0:
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)  # root may read everything
                os._exit(7 if ".env.development cannot be read" in refusal({}, folder) else 1)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
