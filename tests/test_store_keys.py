"""Keys on SQLite and a real PostgreSQL: made, known by digest, revoked, every change audited."""

from __future__ import annotations

import signal
import threading
import uuid
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, event, text

from conftest import wait_until
from databases import Store, exit_code, forked, kill_at_commit, postgresql_server
from lakeward.errors import LakewardError, Terminal, Transient, Unreadable
from lakeward.interaction import id_ms
from lakeward.store.allowance import BROWSER_TYPES
from lakeward.store.database import open_database
from lakeward.store.keys import Key, Keyring, Keys, load_keyring
from lakeward.store.token import digest, make_token
from lakeward.store.trail import entries

NOW_NS = 1_755_187_888_677_000_000  # 2025-08-14T16:11:28.677Z


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store.open())


def number_of_rows(store: Store) -> tuple[int, int]:
    """Of keys, and of entries in the audit."""
    with store.open().read() as connection:
        return (
            connection.scalar(text("SELECT count(*) FROM lakeward_keys")),
            connection.scalar(text("SELECT count(*) FROM lakeward_audit")),
        )


# Making


def test_a_key_is_found_by_its_secret_and_by_nothing_else(store: Store, keys: Keys) -> None:
    key, secret = keys.create("write", "web", actor="ada")
    other, _ = keys.create("read", "page", actor="ada")
    ring = load_keyring(store.open())
    assert ring.find(secret) == key
    assert keys.all() == [key, other]
    for wrong in (
        "", "lwk_w_", secret[:-1], secret + "x", f" {secret}", secret.swapcase(), key.hint,
        key.key_id, digest(secret), secret.replace("lwk_w_", "lwk_r_"), secret + "\n",
        make_token("write", bytes(32)), "é" * 55, "\udc80", "lwk_w_" + "x" * 10_000_000,
    ):  # fmt: skip
        assert ring.find(wrong) is None


def test_a_write_key_takes_what_browsers_may_claim_when_nothing_else_is_said(keys: Keys) -> None:
    key, _ = keys.create("write", "web", actor="ada")
    assert key.types == BROWSER_TYPES
    assert all(map(key.permits, set(BROWSER_TYPES) - {"@custom"}))
    assert key.permits("signed_up")
    for not_for_strangers in ("deal_closed", "api_call", "ai_conversation", "alias"):
        assert not key.permits(not_for_strangers)


def test_a_write_key_takes_the_types_that_are_listed_and_no_other(keys: Keys) -> None:
    key, _ = keys.create("write", "shop", actor="ada", types=["shop.*", "page_view"])
    assert all(map(key.permits, ("page_view", "shop.", "shop.sold")))
    assert not any(map(key.permits, ("click", "shop", "page_views", "workshop.sold", "")))
    everything, _ = keys.create("write", "server", actor="ada", types=["*"])
    assert all(map(everything.permits, ("deal_closed", "anything_of_mine")))


def test_a_read_key_writes_nothing(keys: Keys) -> None:
    key, secret = keys.create("read", "dashboard", actor="ada")
    assert secret.startswith("lwk_r_")
    assert not any(map(key.permits, ("page_view", "*", "")))
    with pytest.raises(Terminal, match="a read key writes nothing"):
        keys.create("read", "other", actor="ada", types=["page_view"])


def test_time_and_randomness_are_handed_in(store: Store) -> None:
    keys = Keys(store.open(), now_ns=lambda: NOW_NS, random=lambda n: b"\x07" * n)
    key, secret = keys.create("write", "web", actor="ada", origins=["https://a.example.com"])
    assert secret == make_token("write", b"\x07" * 32)
    assert key == Key(
        key_id=key.key_id, kind="write", name="web", hint=secret[:12],
        origins=("https://a.example.com",), types=BROWSER_TYPES,
        created_at=NOW_NS // 1_000_000, created_by="ada",
    )  # fmt: skip
    assert uuid.UUID(key.key_id).version == 7
    assert id_ms(key.key_id) == NOW_NS // 1_000_000


def test_two_keys_in_force_never_share_a_name(store: Store, keys: Keys) -> None:
    first, _ = keys.create("write", "web", actor="ada")
    with pytest.raises(Terminal, match="a key named 'web' is in force"):
        keys.create("read", "web", actor="ada")
    assert number_of_rows(store) == (1, 1)
    keys.revoke("web", actor="ada")
    second, _ = keys.create("write", "web", actor="ada")  # a revoked key gives its name back
    assert [key.key_id for key in keys.all()] == [first.key_id, second.key_id]


def test_of_many_processes_that_take_one_name_at_once_one_gets_it(store: Store) -> None:
    store.open()

    def takes() -> None:
        with open_database(store.settings()) as database:
            Keys(database).create("write", "web", actor="ada")

    codes = [exit_code(pid) for pid in [forked(takes) for _ in range(6)]]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]
    assert number_of_rows(store) == (1, 1)


@pytest.mark.parametrize(
    "name",
    ["", " ", " web", "web ", "a\nb", "\x1b[31m", "x" * 65, "\udc80", "\u202e", "a\x00b",
     "lwk_w_abc", "0198a959-c225-7f8b-8d56-238c645cadb6", "0198A959C2257F8B8D56238C645CADB6"],
)  # fmt: skip
def test_a_name_that_could_be_misread_is_refused(store: Store, keys: Keys, name: str) -> None:
    with pytest.raises(Terminal, match="a key's name"):
        keys.create("write", name, actor="ada")
    assert number_of_rows(store) == (0, 0)


@pytest.mark.parametrize("name", ["w", "x" * 64, "Shop (new), Zürich", "日本 🙂", "a'b\"; DROP--"])
def test_a_name_may_be_in_any_language(keys: Keys, name: str) -> None:
    key, _ = keys.create("write", name, actor="ada")
    assert keys.all() == [key]
    assert keys.revoke(name, actor="ada").name == name


# Revoking


def test_a_revoked_key_is_found_no_more(store: Store, keys: Keys) -> None:
    web, secret = keys.create("write", "web", actor="ada")
    page, other = keys.create("read", "page", actor="ada")
    revoked = keys.revoke("web", actor="bob")
    assert revoked == msgspec.structs.replace(web, revoked_at=revoked.revoked_at)
    ring = load_keyring(store.open())
    assert (ring.find(secret), ring.find(other), len(ring)) == (None, page, 1)
    assert keys.revoke(page.key_id, actor="bob").name == "page"
    assert not load_keyring(store.open())


def test_a_keyring_refuses_a_revoked_key_that_it_is_given(keys: Keys) -> None:
    key, secret = keys.create("write", "web", actor="ada")
    assert Keyring([(digest(secret), key)]).find(secret) == key
    ring = Keyring([(digest(secret), msgspec.structs.replace(key, revoked_at=1))])
    assert ring.find(secret) is None
    assert not ring
    assert not Keyring([])


def test_a_key_is_revoked_once(store: Store, keys: Keys) -> None:
    key, _ = keys.create("write", "web", actor="ada")
    keys.revoke("web", actor="ada")
    for which in ("web", key.key_id):
        with pytest.raises(Terminal, match=f"'web' \\({key.key_id}\\) is revoked already"):
            keys.revoke(which, actor="ada")
    assert number_of_rows(store) == (1, 2)


def test_of_many_processes_that_revoke_a_key_at_once_one_does(store: Store, keys: Keys) -> None:
    keys.create("write", "web", actor="ada")

    def revokes() -> None:
        with open_database(store.settings()) as database:
            Keys(database).revoke("web", actor="ada")

    codes = [exit_code(pid) for pid in [forked(revokes) for _ in range(6)]]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]
    assert number_of_rows(store) == (1, 2)


def test_a_key_that_is_revoked_while_somebody_else_revokes_it_is_revoked_once(
    store: Store, keys: Keys
) -> None:
    keys.create("write", "web", actor="ada")
    refused: list[str] = []

    def revokes() -> None:
        with pytest.raises(Terminal) as error:
            keys.revoke("web", actor="bob")
        refused.append(str(error.value))

    with store.open().write() as connection:
        connection.execute(text("UPDATE lakeward_keys SET revoked_at = 1"))
        other = threading.Thread(target=revokes)
        other.start()
        if store.url:
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            wait_until(lambda: connection.scalar(waiting), what="the other's wait")
    other.join()
    [sentence] = refused
    assert "is revoked already" in sentence
    assert number_of_rows(store) == (1, 1)


@pytest.mark.parametrize("which", ["", "nobody", "\udc80", "x" * 100_000, "a\x00b", "%", "'"])
def test_what_names_no_key_is_said_to(keys: Keys, which: str) -> None:
    keys.create("write", "web", actor="ada")
    with pytest.raises(Terminal, match="there is no key .*keys list") as refused:
        keys.revoke(which, actor="ada")
    assert len(str(refused.value)) < 250


def test_a_secret_is_not_taken_for_a_name_and_not_repeated(keys: Keys) -> None:
    _, secret = keys.create("write", "web", actor="ada")
    with pytest.raises(Terminal, match="by its name or id, not by its secret") as refused:
        keys.revoke(secret, actor="ada")
    assert secret[6:] not in str(refused.value)


# What is stored


def test_a_secret_is_nowhere_in_the_bytes_of_the_database(store: Store, keys: Keys) -> None:
    made = [keys.create("write", f"key {n}", actor="ada") for n in range(20)]
    keys.revoke("key 3", actor="ada")
    raw = store.raw()
    for key, secret in made:
        assert key.key_id.encode() in raw
        assert sha256(secret.encode()).hexdigest().encode() in raw
        rest = secret[len(key.hint) :]
        assert not any(rest[at : at + 8].encode() in raw for at in range(len(rest) - 8))


def test_each_change_has_an_entry_in_the_audit_that_says_who_and_what(store: Store) -> None:
    moments = iter(range(NOW_NS, NOW_NS + 10**12, 10**9))
    keys = Keys(store.open(), now_ns=lambda: next(moments))
    web, _ = keys.create("write", "web", actor="ada", origins=["*.example.com"], types=["a.*"])
    page, _ = keys.create("read", "page", actor="bob")
    keys.revoke("web", actor="cy")
    trail = entries(store.open(), 10)
    assert [(entry.actor, entry.action, entry.subject) for entry in trail] == [
        ("ada", "key.create", web.key_id),
        ("bob", "key.create", page.key_id),
        ("cy", "key.revoke", web.key_id),
    ]
    assert [entry.at - NOW_NS // 1_000_000 for entry in trail] == [0, 1000, 2000]
    assert trail[0].details == {
        "kind": "write", "name": "web", "hint": web.hint, "origins": ["https://*.example.com"],
        "types": ["a.*"],
    }  # fmt: skip
    assert entries(store.open(), 1) == trail[-1:]


def test_a_change_that_is_killed_before_its_commit_leaves_neither_key_nor_entry(
    store: Store, keys: Keys
) -> None:
    key, secret = keys.create("write", "web", actor="ada")

    def dies(name: str) -> None:
        event.listen(Engine, "commit", kill_at_commit)
        with open_database(store.settings()) as database:
            if name == "web":
                Keys(database).revoke(name, actor="ada")
            Keys(database).create("write", name, actor="ada")

    assert exit_code(forked(lambda: dies("other"))) == -signal.SIGKILL
    assert exit_code(forked(lambda: dies("web"))) == -signal.SIGKILL
    assert number_of_rows(store) == (1, 1)
    assert load_keyring(store.open()).find(secret) == key


def test_a_key_of_a_kind_that_is_not_known_is_named_without_its_content(
    store: Store, keys: Keys
) -> None:
    keys.create("write", "web", actor="ada")
    with store.open().write() as connection:
        connection.execute(text("""UPDATE lakeward_keys SET types = '[{"a": "hunter2"}]'"""))
    for read in (keys.all, lambda: load_keyring(store.open())):
        with pytest.raises(Unreadable, match="a key in the app database cannot be read") as found:
            read()
        assert "hunter2" not in str(found.value)


# A database that is away


def test_a_keyring_needs_no_database_once_it_is_loaded(store: Store, keys: Keys) -> None:
    key, secret = keys.create("write", "web", actor="ada")
    database = store.open()
    ring = load_keyring(database)
    if store.url:
        with database.write() as connection:
            connection.execute(text("DROP TABLE lakeward_keys"))
    else:
        for path in store.file.parent.glob("app.db*"):
            path.unlink()
    with pytest.raises(LakewardError) as away:
        load_keyring(database)
    assert isinstance(away.value, Transient) or store.url
    assert ring.find(secret) == key


def test_a_postgresql_that_stopped_is_transient(tmp_path: Path) -> None:
    with postgresql_server() as url:
        store = Store(tmp_path, url.format("postgres"))
        database = store.open()
        _, secret = Keys(database).create("write", "web", actor="ada")
        assert load_keyring(database).find(secret)
    with pytest.raises(Transient, match="does not answer"):
        load_keyring(database)
    with pytest.raises(Transient, match="does not answer"):
        store.open()
    store.close()
