"""Whom the AWS sinks say they are, and what they say when AWS or the network says no."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
)

from clouds import KEYS, settings
from lakeward.errors import SettingError, Terminal, Transient
from lakeward.sinks.aws import session
from lakeward.sinks.s3 import bucket_of
from lakeward.sinks.verdict import Invalid, Missing, Place, judge, of_boto

BUCKET = Place("bucket lake", "DATA_LAKE_BUCKET")
FILE = "[default]\naws_access_key_id = AKIAOFTHEROLE\naws_secret_access_key = of-the-role\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without credentials and metadata service: its file for credentials."""
    file = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return file


def keys_of(folder: Path, environ: dict[str, str]) -> tuple[str, str, str | None]:
    settled = settings(folder, "http://127.0.0.1:9", **{**dict.fromkeys(KEYS, ""), **environ})
    found = session(settled, environ).get_credentials()
    assert found is not None
    return found.access_key, found.secret_key, found.token


def test_what_services_understand_is_read_once_for_all_sessions(machine: Path) -> None:
    settled = settings(machine.parent, "http://127.0.0.1:9")
    one, other = (session(settled, KEYS).client("s3") for _ in range(2))
    assert one is not other
    assert one.meta.service_model.metadata is other.meta.service_model.metadata


def test_keys_of_the_settings_are_used(machine: Path) -> None:
    machine.write_text(FILE)
    assert keys_of(machine.parent, KEYS) == (*KEYS.values(), None)


def test_without_keys_the_standard_chain_is_asked(machine: Path) -> None:
    machine.write_text(FILE)
    assert keys_of(machine.parent, {})[0] == "AKIAOFTHEROLE"


def test_placeholders_in_the_environment_never_shadow_a_role(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write_text(FILE)
    environ = {"AWS_ACCESS_KEY_ID": "your-key", "AWS_SECRET_ACCESS_KEY": "your-secret"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert keys_of(machine.parent, environ)[0] == "AKIAOFTHEROLE"


def test_a_session_token_beside_keys_in_the_environment_is_kept(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {**KEYS, "AWS_SESSION_TOKEN": "token-of-a-function"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert keys_of(machine.parent, environ)[2] == "token-of-a-function"


def test_a_session_token_of_other_keys_is_not_used(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-other")
    settled = settings(machine.parent, "http://127.0.0.1:9")
    found = session(settled, os.environ).get_credentials()
    assert found is not None
    assert (found.access_key, found.token) == (KEYS["AWS_ACCESS_KEY_ID"], None)


def test_no_credentials_anywhere_are_one_sentence(machine: Path) -> None:
    with pytest.raises(Terminal, match="no AWS credentials: set AWS_ACCESS_KEY_ID"):
        keys_of(machine.parent, {})


def test_an_endpoint_that_is_no_address_is_named(machine: Path) -> None:
    with pytest.raises(SettingError, match="LAKEWARD_AWS_ENDPOINT"):
        bucket_of(settings(machine.parent, "no address"))


@pytest.mark.parametrize("absent", ["boto3", "obstore"])
def test_without_the_extra_its_name_is_said_and_the_core_imports_neither(absent: str) -> None:
    code = (
        "import sys, lakeward, lakeward.keeper, lakeward.collector, lakeward.followers.protocol\n"
        "assert not {'boto3', 'botocore', 'obstore'} & set(sys.modules)\n"
        f"sys.modules[{absent!r}] = None\n"
        "from lakeward.errors import MissingExtra\n"
        "for name in ('s3', 'dynamodb', 'blueprint'):\n"
        "    try: __import__('lakeward.sinks.' + name)\n"
        "    except MissingExtra as error: assert 'lakeward[aws]' in str(error)\n"
        "    else: raise SystemExit(name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("code", "status", "kind", "word"),
    [
        ("SlowDown", 503, Transient, "does not answer now"),
        ("ThrottlingException", 400, Transient, "does not answer now"),
        ("", 502, Transient, "502"),
        ("", 0, Transient, "cannot be reached"),
        ("RequestTimeTooSkewed", 403, Transient, "clock"),
        ("ConditionalRequestConflict", 409, Transient, "does not answer now"),
        ("NoSuchBucket", 404, Missing, "DATA_LAKE_BUCKET"),
        ("PermanentRedirect", 301, Terminal, "AWS_REGION"),
        ("", 301, Terminal, "AWS_REGION"),
        ("", 403, Terminal, "docs/aws.md"),
        ("KMS.DisabledException", 400, Terminal, "LAKEWARD_S3_KMS_KEY"),
        ("KMS.AccessDeniedException", 400, Terminal, "docs/aws.md"),
        ("InvalidObjectState", 403, Terminal, "archive class"),
        ("ValidationException", 400, Invalid, "does not take"),
        ("SomethingNew", 400, Terminal, "SomethingNew"),
    ],
)
def test_each_code_has_its_branch_and_its_mend(
    code: str, status: int, kind: type[Exception], word: str
) -> None:
    error = judge(code, status, BUCKET)
    assert type(error) is kind
    assert word in str(error)
    assert "bucket lake" in str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoCredentialsError(), Terminal),
        (ParamValidationError(report="secret"), Terminal),
        (ConnectTimeoutError(endpoint_url="http://x", error=URLError("x")), Transient),
        (CredentialRetrievalError(provider="x", error_msg="secret"), Transient),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Transient),
    ],
)
def test_what_boto_meets_before_aws_answers_is_judged(
    error: Exception, kind: type[Exception]
) -> None:
    judged = of_boto(error, BUCKET)
    assert type(judged) is kind
    assert "secret" not in str(judged)


ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {  # what an operation, or obstore's put and get, needs of IAM
    "put": {"s3:PutObject"},
    "get": {"s3:GetObject", "s3:ListBucket"},  # without the second an absent object is a refusal
    "get_object": {"s3:GetObject", "s3:GetObjectVersion"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "list_objects_v2": {"s3:ListBucket"},
    "delete_objects": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
}


def test_the_policies_of_the_page_allow_what_the_sinks_ask_and_no_more() -> None:
    asked: set[str] = set()
    for path in (ROOT / "src/lakeward/sinks").glob("*.py"):
        text = path.read_text()
        for name in re.findall(r'\b(?:ask|pages)\(\s*"(\w+)"', text):
            word = "".join(part.title() for part in name.split("_"))
            asked |= ALLOWED.get(name, {f"dynamodb:{word}"})
        for name in re.findall(r"\bobstore\.(put|get)\(", text):
            asked |= ALLOWED[name]
    page = (ROOT / "docs/aws.md").read_text()
    assert set(re.findall(r'"((?:s3|dynamodb):\w+)"', page)) == asked
