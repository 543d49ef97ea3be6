"""PowerConfidence: partners, witnesses, invitations, what they say, and what came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _changes()
    _sends()
    _opt_outs()
    _partners()
    _receipts()
    _analyses()
    _claims()
    _reviews()
    _scores()
    _witnesses()
    _invitations()
    _responses()


def _changes() -> None:
    op.create_table(
        "lakeward_changes",
        sa.Column("change_id", sa.String(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_lakeward_changes")),
    )
    op.create_index(
        op.f("ix_lakeward_changes_recorded_at_at"), "lakeward_changes", ["recorded_at", "at"]
    )


def _sends() -> None:
    op.create_table(
        "lakeward_sends",
        sa.Column("send_id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("send_id", name=op.f("pk_lakeward_sends")),
    )
    for column in ("digest", "partner_id"):
        op.create_index(op.f(f"ix_lakeward_sends_{column}_at"), "lakeward_sends", [column, "at"])


def _opt_outs() -> None:
    op.create_table(
        "lakeward_opt_outs",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.CheckConstraint(
            "channel IN ('sms', 'email')", name=op.f("ck_lakeward_opt_outs_channel")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_lakeward_opt_outs")),
    )


def _partners() -> None:
    op.create_table(
        "lakeward_partners",
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("proposition", sa.Text(), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_lakeward_partners")),
    )
    op.create_index(op.f("ix_lakeward_partners_category"), "lakeward_partners", ["category"])


def _receipts() -> None:
    op.create_table(
        "lakeward_receipts",
        sa.Column("receipt_id", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(16), nullable=False),
        sa.Column("message_id", sa.String(128), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_lakeward_receipts")),
    )
    op.create_index(op.f("ix_lakeward_receipts_received_at"), "lakeward_receipts", ["received_at"])


def _analyses() -> None:
    op.create_table(
        "lakeward_analyses",
        sa.Column("analysis_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("statements", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("overall", sa.Float(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("released", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_analyses_partner_id_lakeward_partners"),
        ),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("pk_lakeward_analyses")),
    )
    op.create_index(
        op.f("ix_lakeward_analyses_partner_id_at"), "lakeward_analyses", ["partner_id", "at"]
    )


def _claims() -> None:
    op.create_table(
        "lakeward_claims",
        sa.Column("claim_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("speaker", sa.String(36), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "source IN ('ceo', 'employee', 'customer', 'demo')",
            name=op.f("ck_lakeward_claims_source"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_claims_partner_id_lakeward_partners"),
        ),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_lakeward_claims")),
    )
    op.create_index(op.f("ix_lakeward_claims_partner_id"), "lakeward_claims", ["partner_id"])
    op.create_index(op.f("ix_lakeward_claims_speaker"), "lakeward_claims", ["speaker"])


def _reviews() -> None:
    op.create_table(
        "lakeward_reviews",
        sa.Column("review_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("demo_id", sa.String(36), nullable=False),
        sa.Column("reviewer", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("comments", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_reviews_partner_id_lakeward_partners"),
        ),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_lakeward_reviews")),
        sa.UniqueConstraint(
            "demo_id", "reviewer", name=op.f("uq_lakeward_reviews_demo_id_reviewer")
        ),
    )
    op.create_index(op.f("ix_lakeward_reviews_partner_id"), "lakeward_reviews", ["partner_id"])


def _scores() -> None:
    op.create_table(
        "lakeward_scores",
        sa.Column("score_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.String(12), nullable=False),
        sa.Column("evidence", sa.String(64), nullable=False),
        sa.Column("stamp", sa.String(64), nullable=False),
        sa.Column("formula_version", sa.String(32), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("provisional", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.JSON(), nullable=False),
        sa.Column("released", sa.JSON(), nullable=True),
        sa.Column("waiting", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "trigger IN ('evidence', 'schedule', 'correction', 'erasure')",
            name=op.f("ck_lakeward_scores_trigger"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_scores_partner_id_lakeward_partners"),
        ),
        sa.PrimaryKeyConstraint("score_id", name=op.f("pk_lakeward_scores")),
        sa.UniqueConstraint("partner_id", "seq", name=op.f("uq_lakeward_scores_partner_id_seq")),
    )


def _witnesses() -> None:
    op.create_table(
        "lakeward_witnesses",
        sa.Column("witness_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("contact", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("phone", sa.String(32), nullable=True),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("company", sa.String(200), nullable=True),
        sa.Column("user_id", sa.String(256), nullable=True),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.CheckConstraint(
            "role IN ('employee', 'customer')", name=op.f("ck_lakeward_witnesses_role")
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_witnesses_partner_id_lakeward_partners"),
        ),
        sa.PrimaryKeyConstraint("witness_id", name=op.f("pk_lakeward_witnesses")),
        sa.UniqueConstraint(
            "partner_id",
            "role",
            "contact",
            name=op.f("uq_lakeward_witnesses_partner_id_role_contact"),
        ),
    )
    op.create_index(op.f("ix_lakeward_witnesses_email"), "lakeward_witnesses", ["email"])
    op.create_index(op.f("ix_lakeward_witnesses_phone"), "lakeward_witnesses", ["phone"])
    op.create_index(op.f("ix_lakeward_witnesses_user_id"), "lakeward_witnesses", ["user_id"])


def _invitations() -> None:
    op.create_table(
        "lakeward_invitations",
        sa.Column("invitation_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("witness_id", sa.String(36), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(32), nullable=False),
        sa.Column("sends", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(8), nullable=True),
        sa.Column("outbox_id", sa.String(36), nullable=True),
        sa.Column("draft", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "form IN ('employee', 'reference', 'quarterly')",
            name=op.f("ck_lakeward_invitations_form"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'opened', 'answered', 'expired', 'withdrawn', 'failed')",
            name=op.f("ck_lakeward_invitations_state"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_invitations_partner_id_lakeward_partners"),
        ),
        sa.ForeignKeyConstraint(
            ["witness_id"],
            ["lakeward_witnesses.witness_id"],
            name=op.f("fk_lakeward_invitations_witness_id_lakeward_witnesses"),
        ),
        sa.PrimaryKeyConstraint("invitation_id", name=op.f("pk_lakeward_invitations")),
        sa.UniqueConstraint(
            "witness_id",
            "form",
            "period",
            name=op.f("uq_lakeward_invitations_witness_id_form_period"),
        ),
    )
    op.create_index(
        op.f("ix_lakeward_invitations_outbox_id"), "lakeward_invitations", ["outbox_id"]
    )
    op.create_index(
        op.f("ix_lakeward_invitations_partner_id"), "lakeward_invitations", ["partner_id"]
    )
    op.create_index(
        op.f("ix_lakeward_invitations_state_due_at"), "lakeward_invitations", ["state", "due_at"]
    )


def _responses() -> None:
    op.create_table(
        "lakeward_responses",
        sa.Column("response_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(128), nullable=False),
        sa.Column("witness_id", sa.String(36), nullable=False),
        sa.Column("invitation_id", sa.String(36), nullable=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("form", sa.String(16), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("verified", sa.BigInteger(), nullable=False),
        sa.Column("completeness", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("released", sa.BigInteger(), nullable=True),
        sa.Column("quotable", sa.JSON(), nullable=True),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.CheckConstraint(
            "form IN ('employee', 'reference', 'quarterly')",
            name=op.f("ck_lakeward_responses_form"),
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"],
            ["lakeward_invitations.invitation_id"],
            name=op.f("fk_lakeward_responses_invitation_id_lakeward_invitations"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["lakeward_partners.partner_id"],
            name=op.f("fk_lakeward_responses_partner_id_lakeward_partners"),
        ),
        sa.ForeignKeyConstraint(
            ["witness_id"],
            ["lakeward_witnesses.witness_id"],
            name=op.f("fk_lakeward_responses_witness_id_lakeward_witnesses"),
        ),
        sa.PrimaryKeyConstraint("response_id", name=op.f("pk_lakeward_responses")),
        sa.UniqueConstraint("partner_id", "key", name=op.f("uq_lakeward_responses_partner_id_key")),
    )
    op.create_index(
        op.f("ix_lakeward_responses_partner_id_at"), "lakeward_responses", ["partner_id", "at"]
    )
    op.create_index(op.f("ix_lakeward_responses_witness_id"), "lakeward_responses", ["witness_id"])
