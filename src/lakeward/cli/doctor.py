"""`lakeward doctor`: the ledger's sum, proved from the files; exit code 1 when it does not hold."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from lakeward.accounts import Account
from lakeward.audit import Report, audit
from lakeward.cli.flags import FlagsAccount
from lakeward.cli.flags import look as flags_of
from lakeward.cli.flags import sentence as flags_told
from lakeward.cli.messages import MessagesAccount, look, sentence
from lakeward.cli.prices import PriceTables, price_tables, told
from lakeward.cli.rolled import RollupsAccount
from lakeward.cli.rolled import look as rollups_of
from lakeward.cli.rolled import sentence as rollups_told
from lakeward.errors import MissingExtra
from lakeward.lake.progress import TableAccount, account
from lakeward.lakedir import LakeDir, open_lake, refuse_network_file_system
from lakeward.lock import is_kept
from lakeward.ringdir import known_folders
from lakeward.settings import Settings

if TYPE_CHECKING:
    from lakeward.alerts.overview import Account as Watched

PLACES = ("delivered", "quarantined", "waiting", "rejected", "dropped", "sampled", "excluded",
          "disabled", "erased", "expired", "suppressed", "vanished", "in_flight")  # fmt: skip


def add_arguments(command: argparse.ArgumentParser) -> None:
    """`doctor` has no arguments of its own."""
    del command


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Audit the lake and print what was found."""
    lake = open_lake(settings.lake_dir, create=False)
    refuse_network_file_system(lake.root)
    report = audit(lake, known_folders(lake, settings.ring_dir))
    table = account(lake, report.faults)
    report.ok = not report.faults
    kept = is_kept(lake)
    messages, prices = look(settings), price_tables(settings)
    flags, rollups = flags_of(settings), rollups_of(lake)
    alerts, watched = _alerts(lake, settings)
    if arguments.format == "json":
        row = msgspec.to_builtins(report) | {"keeper": kept, "table": msgspec.to_builtins(table)}
        row |= {"messages": msgspec.to_builtins(messages), "prices": msgspec.to_builtins(prices)}
        row |= {"flags": msgspec.to_builtins(flags), "rollups": msgspec.to_builtins(rollups)}
        row |= {"alerts": msgspec.to_builtins(alerts)}
        print(msgspec.json.format(msgspec.json.encode(row), indent=2).decode())
    else:
        print(render(report, kept, table, messages, prices, flags, rollups, watched))
    return 0 if report.ok else 1


def _alerts(lake: LakeDir, settings: Settings) -> tuple[Watched | None, str]:
    """How watching goes, and a sentence of it; nothing where the extra that watches is absent."""
    try:
        from lakeward.alerts import overview  # slow to load
    except MissingExtra:
        return None, ""
    found = overview.account(lake, settings)
    return found, overview.sentence(found)


def render(
    report: Report,
    kept: bool,
    table: TableAccount | None = None,
    messages: MessagesAccount | None = None,
    prices: PriceTables | None = None,
    flags: FlagsAccount | None = None,
    rollups: RollupsAccount | None = None,
    watched: str = "",
) -> str:
    """The report for people."""
    lines = [
        f"lake      {report.lake}  (id {report.lake_id}, epoch {report.epoch})",
        f"keeper    {'running' if kept else 'not running'}",
        f"segments  {report.segments}",
        "",
        f"{report.sum['offered']:>12,}  offered",
    ]
    if report.sum["found"]:
        lines.append(f"{report.sum['found']:>12,}  found in the log after a power loss")
    lines.append(f"{'=':>12}")
    for place in PLACES:
        if report.sum[place] or place == "delivered":
            lines.append(f"{report.sum[place]:>12,}  {place}{_detail(place, report)}")
    for ring in report.rings:
        state = "alive" if ring.alive else "its process is gone; the next keeper takes it over"
        lines.append(f"ring      {ring.ring}  {ring.owner}, {state}")
    lines += [_follower(one) for one in report.followers]
    if table is not None:
        lines.append(_table(table))
    if rollups is not None:
        lines.append(f"rollups   {rollups_told(rollups)}")
    if messages is not None:
        lines.append(f"messages  {sentence(messages)}")
    if prices is not None:
        lines.append(f"prices    {told(prices)}")
    if flags is not None:
        lines.append(f"flags     {flags_told(flags)}")
    if watched:
        lines.append(f"watched   {watched}")
    lines += [
        f"vanished  {name}: what was not yet durable went with it" for name in report.vanished
    ]
    lines += [
        f"unseen    {name}: no keeper can see this process's memory; mount the same ring folder "
        "or give it its own lake"
        for name in report.unseen
    ]
    lines += [f"FAULT     {fault}" for fault in report.faults]
    lines += ["", "the sum holds" if report.ok else "the sum does NOT hold"]
    return "\n".join(lines)


def _table(table: TableAccount) -> str:
    counts = msgspec.structs.asdict(table.counts) | {"uncounted": table.uncounted}
    shown = [f"{name} {n:,}" for name, n in counts.items() if n and name != "read"]
    return f"table     {', '.join(shown) or 'empty'}; {table.waiting_bytes:,} bytes wait"


def _follower(account: Account) -> str:
    counts = ", ".join(
        f"{n:,} {what}"
        for what in ("delivered", "waiting", "quarantined", "sampled", "suppressed", "erased",
                     "expired")
        if (n := getattr(account, what)) or what in {"delivered", "waiting"}
    )  # fmt: skip
    since = f" since {account.since}" if account.since else ""
    sentence = f": {account.sentence}" if account.sentence else ""
    return f"follower  {account.name}  {counts}; {account.state}{since}{sentence}"


def _detail(place: str, report: Report) -> str:
    if place != "dropped":
        return ""
    shown = {"sampled", "excluded", "disabled", "consent", "rejected"}
    reasons = [f"{name} {n}" for name, n in sorted(report.reasons.items()) if name not in shown]
    return f"  ({', '.join(reasons)})" if reasons else ""
