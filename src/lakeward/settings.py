"""Settings: the environment first, then `.env.<environment>`, then the defaults of one table.

In: a mapping of environment variables and the folder that holds the `.env` files. Out: a frozen
`Settings`. Fails with `SettingError` naming the variable, what it may be, and never its value when
it is a secret. `docs/settings.md` is generated from `SETTINGS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from lakeward.errors import SettingError

Kind = Literal["text", "flag", "count", "bytes", "seconds", "list", "choice", "folder", "percent"]

KIB, MIB = 1024, 1024 * 1024


class Setting(msgspec.Struct, frozen=True):
    """One row of the table: environment name, attribute, kind, default and one sentence."""

    env: str
    name: str
    kind: Kind
    default: str
    doc: str
    choices: tuple[str, ...] = ()
    secret: bool = False
    least: int = 0
    most: int = 1 << 62


S = Setting
SETTINGS: tuple[Setting, ...] = (
    S("LAKEWARD_ENV", "environment", "text", "development",
      "Name of the environment; written into each record and choosing `.env.<environment>`."),
    S("ENABLE_DATA_COLLECTION", "collect", "flag", "true",
      "Whether anything is recorded at all."),
    S("ENABLE_OUTCOME_TRACKING", "track_outcomes", "flag", "true",
      "Whether business outcomes (matches, bookings, deals, feedback) are recorded."),
    S("APP_VERSION", "app_version", "text", "1.0.0",
      "Version of the host application, written into each record."),
    S("LAKEWARD_SERVICE", "service", "text", "",
      "Name of this app where several share one lake; left out of records when empty."),
    S("LAKEWARD_LAKE_DIR", "lake_dir", "folder", "./data-lake",
      "Folder of the lake; its private folder is `.lakeward/`. NFS and SMB are refused."),
    S("LAKEWARD_RING_DIR", "ring_dir", "folder", "",
      "Folder of the rings; empty means `/dev/shm/lakeward-<uid>/<lake id>/`, "
      "or the lake's private folder where there is no such memory."),
    S("LAKEWARD_RING_BYTES", "ring_bytes", "bytes", "8MiB",
      "Size of one process's ring, allocated at start.", least=256 * KIB, most=4096 * MIB),
    S("LAKEWARD_RING_LANES", "ring_lanes", "count", "16",
      "Lanes in a ring: how many threads can record at the same instant.", least=2, most=64),
    S("LAKEWARD_FRAME_BYTES", "frame_bytes", "bytes", "1MiB",
      "Largest encoded record; a larger one is dropped and counted `too_large`.",
      least=4 * KIB, most=1024 * MIB),
    S("LAKEWARD_KEEPER", "keeper", "choice", "spawn",
      "Who keeps the lake: `spawn` starts a process when none runs, `external` expects "
      "`lakeward run`, `thread` keeps it inside this process.",
      choices=("spawn", "external", "thread")),
    S("LAKEWARD_KEEPER_IDLE_SECONDS", "keeper_idle_seconds", "seconds", "10",
      "How long a spawned keeper stays when no process records any more.", most=86_400),
    S("LAKEWARD_SEGMENT_BYTES", "segment_bytes", "bytes", "128MiB",
      "Size at which a file of the log is sealed and the next one is opened.",
      least=4 * KIB, most=65_536 * MIB),
    S("LAKEWARD_EXIT_SECONDS", "exit_seconds", "seconds", "2",
      "Longest wait for the keeper in `close()` and at interpreter exit.", most=60),
    S("LAKEWARD_EXCLUDE", "exclude", "list",
      "/health,/healthz,/livez,/readyz,/ready,/live,/ping,/metrics,/favicon.ico,/robots.txt,"
      "/static/*,/assets/*,/_lakeward/*",
      "Paths that are not recorded but counted `excluded`; `*` at the end matches any rest."),
    S("LAKEWARD_TRUSTED_PROXIES", "trusted_proxies", "list", "",
      "Addresses or networks whose `X-Forwarded-For` is believed; `*` trusts every peer."),
    S("LAKEWARD_SESSION_COOKIE", "session_cookie", "text", "session",
      "Cookie that marks a session; a keyed hash of it is recorded, never the cookie."),
    S("LAKEWARD_SESSION_HEADER", "session_header", "text", "x-session-id",
      "Request header that names the session; a UUID is recorded as it is, anything else hashed."),
    S("LAKEWARD_HEADERS", "headers", "list", "",
      "Request headers to record (lower case); none by default."),
    S("LAKEWARD_IP", "ip", "choice", "full",
      "How client addresses are stored: whole, cut to /24 or /48, hashed by a daily salt, or not.",
      choices=("full", "truncate", "hash", "none")),
    S("LAKEWARD_PRIVACY_SIGNAL", "privacy_signal", "choice", "full",
      "What is recorded of a caller that sends Global Privacy Control or Do Not Track: everything, "
      "the call without who made it, or nothing.",
      choices=("full", "anonymous", "none")),
    S("LAKEWARD_CONSENT", "consent", "choice", "full",
      "What is recorded of a caller about whose consent the app's hook says nothing.",
      choices=("full", "anonymous", "none")),
    S("LAKEWARD_DETECT_EMAILS", "detect_emails", "flag", "false",
      "Replace e-mail addresses found in any text."),
    S("LAKEWARD_DETECT_PHONES", "detect_phones", "flag", "false",
      "Replace telephone numbers found in any text."),
    S("LAKEWARD_SENSITIVE_KEYS", "sensitive_keys", "list", "",
      "More key names whose values are never stored."),
    S("LAKEWARD_ALLOW_KEYS", "allow_keys", "list", "",
      "Key names that are not sensitive here although they look so."),
    S("LAKEWARD_SENSITIVE_PATHS", "sensitive_paths", "list", "",
      "Path patterns whose `{}` segments are never stored, such as `/invite/{}/accept`."),
    S("LAKEWARD_ROLLOUT_API_CALLS", "rollout_api_calls", "percent", "100",
      "Percentage of users whose API calls are recorded."),
    S("LAKEWARD_ROLLOUT_BODIES", "rollout_bodies", "percent", "100",
      "Percentage of users whose request bodies are recorded, where a rule records bodies."),
    S("LAKEWARD_ROLLOUT_OUTCOMES", "rollout_outcomes", "percent", "100",
      "Percentage of users whose business outcomes are recorded."),
    S("LAKEWARD_ROLLOUT_AI_CONTENT", "rollout_ai_content", "percent", "100",
      "Percentage of users whose AI conversations are recorded with their content."),
    S("LAKEWARD_ROLLOUT_BROWSER_EVENTS", "rollout_browser_events", "percent", "100",
      "Percentage of users whose page views, clicks, forms, vitals and browser errors are kept."),
    S("LAKEWARD_ROLLOUT_S3", "rollout_s3", "percent", "100",
      "Percentage of users whose interactions are shipped to S3."),
    S("LAKEWARD_ROLLOUT_DYNAMODB", "rollout_dynamodb", "percent", "100",
      "Percentage of users whose interactions are written to DynamoDB."),
    S("LAKEWARD_ALLOWED_HOSTS", "allowed_hosts", "list", "",
      "Host names that `lakeward serve` goes by besides this machine's own; `*` allows any."),
    S("LAKEWARD_BATCH_BYTES", "batch_bytes", "bytes", "4MiB",
      "Largest body that the server takes, inflated.", least=4 * KIB, most=64 * MIB),
    S("LAKEWARD_BATCH_EVENTS", "batch_events", "count", "2500",
      "Most interactions in one body that the server takes.", least=1, most=60_000),
    S("LAKEWARD_EVENT_BYTES", "event_bytes", "bytes", "32KiB",
      "Largest interaction that the server takes, as it is stored.", least=1 * KIB, most=16 * MIB),
    S("LAKEWARD_AI_EVENT_BYTES", "ai_event_bytes", "bytes", "1MiB",
      "The same for AI types, whose messages are long.", least=1 * KIB, most=16 * MIB),
    S("LAKEWARD_RATE_ADDRESS", "rate_address", "count", "200",
      "Requests a second that one client address may send on average; ten seconds' worth may come "
      "at once; 0 sets no limit. This machine's own addresses have none.", most=1_000_000),
    S("LAKEWARD_RATE_KEY", "rate_key", "count", "0",
      "Interactions a second that one write key may send on average when it has no limit of its "
      "own; 0 sets no limit.", most=10_000_000),
    S("LAKEWARD_PATHS", "paths", "list", "",
      "Other paths for the server's parts, such as `interactions=/collect,segment=/s`; a part "
      "without a path is switched off."),
    S("LAKEWARD_PATH_PREFIX", "path_prefix", "text", "",
      "Path below which a proxy shows the server, such as `/data`; empty means the root."),
    S("LAKEWARD_PUBLIC_URL", "public_url", "text", "",
      "Address at which people reach the server, such as `https://data.example.com`; for links, "
      "and for the way back from a login elsewhere."),
    S("LAKEWARD_LOGIN_SECONDS", "login_seconds", "seconds", "604800",
      "How long a person stays logged in.", least=60, most=31_536_000),
    S("LAKEWARD_OIDC_ISSUER", "oidc_issuer", "text", "",
      "Address of an OpenID Connect provider through which people may log in; needs the extra "
      "`oidc`."),
    S("LAKEWARD_OIDC_CLIENT_ID", "oidc_client_id", "text", "",
      "Name of this server at that provider."),
    S("LAKEWARD_OIDC_CLIENT_SECRET", "oidc_client_secret", "text", "",
      "Secret of this server at that provider.", secret=True),
    S("LAKEWARD_DATABASE_URL", "database_url", "text", "",
      "App database (keys, people), such as `postgresql://user:password@host/database`; empty "
      "means SQLite in the lake's private folder.", secret=True),
    S("LAKEWARD_INDIVIDUAL_FILES", "individual_files", "choice", "auto",
      "Whether each interaction also becomes a file of its own beside the log, named by its id; "
      "`auto` means in development only.", choices=("auto", "on", "off")),
    S("LAKEWARD_INDIVIDUAL_FILES_DAYS", "individual_files_days", "count", "7",
      "Days after which individual files are pruned; 0 keeps them.", most=36_500),
    S("LAKEWARD_WEBHOOK_URL", "webhook_url", "text", "",
      "Address that receives every interaction as signed JSON; empty means none.", secret=True),
    S("LAKEWARD_WEBHOOK_SECRET", "webhook_secret", "text", "",
      "Secret that signs what the webhook receives.", secret=True),
    S("LAKEWARD_WEBHOOK_PRIVATE", "webhook_private", "flag", "false",
      "Whether the webhook may be in a private network or on this machine, and over plain "
      "`http://`."),
    S("LAKEWARD_WEBHOOK_SECONDS", "webhook_seconds", "seconds", "20",
      "Longest time that a step of one request to the webhook may take.", least=1, most=600),
    S("LAKEWARD_FOLLOWERS", "followers", "list", "",
      "Followers of your own, such as `crm=shop.followers:Crm`: a name, and what is called with "
      "settings and lake to make it."),
    S("USE_S3", "use_s3", "flag", "false",
      "Whether the raw log is also shipped to S3."),
    S("USE_DYNAMODB", "use_dynamodb", "flag", "false",
      "Whether interactions are also written to DynamoDB."),
    S("AWS_REGION", "aws_region", "text", "us-east-1", "Region of the bucket and the table."),
    S("AWS_ACCESS_KEY_ID", "aws_access_key_id", "text", "",
      "Access key; empty leaves it to the standard credential chain.", secret=True),
    S("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", "text", "",
      "Secret of the access key; empty leaves it to the standard credential chain.", secret=True),
    S("LAKEWARD_AWS_ENDPOINT", "aws_endpoint", "text", "",
      "Address of a service that speaks the AWS protocols; empty means AWS itself."),
    S("LAKEWARD_AWS_SECONDS", "aws_seconds", "seconds", "60",
      "Longest wait for one answer of AWS; an upload counts whole.", least=1, most=3600),
    S("DATA_LAKE_BUCKET", "data_lake_bucket", "text", "",
      "Bucket of the raw archive, and of what DynamoDB has no room for."),
    S("LAKEWARD_S3_SECONDS", "s3_seconds", "seconds", "60",
      "How long lines wait to be shipped together as one object.", most=86_400),
    S("LAKEWARD_S3_BYTES", "s3_bytes", "bytes", "16MiB",
      "Lines that are shipped as one object at once, before they are compressed.",
      least=4 * KIB, most=1024 * MIB),
    S("LAKEWARD_KEYS", "keys", "list", "",
      "Write keys of the Lambda, which has no database: `NAME=sha256:DIGEST`, with `:TYPE+TYPE` "
      "behind it for what may be sent; `lakeward keys digest` prints a digest."),
    S("LAKEWARD_ACK", "ack", "choice", "disk",
      "When the server says that it keeps a batch: once it is on the `disk`, or once `s3` has it "
      "(and DynamoDB with USE_DYNAMODB=true), for hosts whose disk does not last; that needs "
      "USE_S3=true.",
      choices=("disk", "s3")),
    S("LAKEWARD_ACK_SECONDS", "ack_seconds", "seconds", "0.1",
      "How long a batch waits for others to go to S3 with it, with LAKEWARD_ACK=s3: each object is "
      "a request that costs.", most=10),
    S("LAKEWARD_S3_KMS_KEY", "s3_kms_key", "text", "",
      "KMS key that encrypts objects; empty means the bucket's own key (SSE-S3)."),
    S("INTERACTIONS_TABLE", "interactions_table", "text", "",
      "DynamoDB table of interactions; its key is `interaction_id`."),
    S("LAKEWARD_DYNAMODB_TTL_DAYS", "dynamodb_ttl_days", "count", "0",
      "Days after its event until DynamoDB may delete an item; 0 means never.", most=36_500),
    S("LAKEWARD_FOLLOWER_LAG_DAYS", "follower_lag_days", "count", "7",
      "Days that retention waits for a follower that is behind; then what it misses is counted "
      "`expired`.", most=36_500),
    S("LAKEWARD_COMPACT", "compact", "flag", "true",
      "Whether the keeper moves the log into the table as it grows; needs the extra `lake`."),
    S("LAKEWARD_TABLE", "table", "text", "",
      "Where the table is: a folder or `s3://bucket/prefix`; empty means `table/` in the lake."),
    S("LAKEWARD_COMPACT_SECONDS", "compact_seconds", "seconds", "60",
      "Age of the oldest line that is not in the table at which the keeper compacts.",
      most=86_400),
    S("LAKEWARD_COMPACT_BYTES", "compact_bytes", "bytes", "16MiB",
      "Lines that are not in the table yet at which the keeper compacts at once; bounds what "
      "questions read beside the table.", least=4 * KIB, most=1024 * MIB),
    S("LAKEWARD_COMPACT_MEMORY", "compact_memory", "bytes", "1GiB",
      "Memory that compaction may take, enforced by the system.",
      least=768 * MIB, most=65_536 * MIB),
    S("LAKEWARD_ROLLUP_ROWS", "rollup_rows", "count", "1000000",
      "Rows of the table from which on its hours and days are counted ahead of questions; with "
      "fewer they are quick without.", most=10**15),
    S("LAKEWARD_VACUUM_SECONDS", "vacuum_seconds", "seconds", "3600",
      "Age at which files that the table no longer names are deleted; readers that run on this "
      "machine are waited for in any case.", least=1, most=31_536_000),
    S("LAKEWARD_GEOIP", "geoip", "folder", "",
      "A MaxMind file (`.mmdb`) that gives country and city of addresses; none by default."),
    S("LAKEWARD_QUERY_SECONDS", "query_seconds", "seconds", "60",
      "Longest time that one query may take.", least=1, most=86_400),
    S("LAKEWARD_QUERY_MEMORY", "query_memory", "bytes", "1GiB",
      "Memory that one query may take, enforced by the system.",
      least=256 * MIB, most=65_536 * MIB),
    S("LAKEWARD_ATHENA_TABLE", "athena_table", "text", "lakeward.interactions",
      "Database and table in the Glue catalog by which Athena knows the lake's table."),
    S("LAKEWARD_ATHENA_WORKGROUP", "athena_workgroup", "text", "primary",
      "Workgroup of Athena that answers `--engine athena`."),
    S("LAKEWARD_ATHENA_OUTPUT", "athena_output", "text", "",
      "Where Athena's answers go, such as `s3://bucket/athena/`; empty leaves it to the "
      "workgroup, and then no question may name a person."),
    S("LAKEWARD_RETENTION_DAYS", "retention_days", "count", "0",
      "Days after which interactions are deleted from log and table; 0 keeps them for ever.",
      most=36_500),
    S("LAKEWARD_RETENTION_TYPES", "retention_types", "list", "",
      "Days for single types, such as `page_view=30,click=30`; they win over the general number."),
    S("LAKEWARD_FLOWS", "flows", "folder", "",
      "File (TOML) that declares the app's flows, their steps and the outcomes to expect; empty "
      "means `flows.toml` beside the `.env` files, where there is one."),
    S("LAKEWARD_FLOW_QUIET_SECONDS", "flow_quiet_seconds", "seconds", "1800",
      "How long nothing happens in a flow until it counts as abandoned, where the flow's "
      "declaration says nothing else.", least=1, most=31_536_000),
    S("LAKEWARD_ALERTS", "alerts", "folder", "",
      "File (TOML) that says what is watched, the limits and who is told; empty means "
      "`alerts.toml` beside the `.env` files, where there is one."),
    S("LAKEWARD_INTERNAL", "internal", "list",
      "user_type:internal,user_type:staff,user_type:test",
      "What the team's own traffic is, which questions leave out unless told otherwise: "
      "`field:value`; the fields are `user_type`, `user_id`, `anonymous_id`, `session_id`, "
      "`service`, `environment`, `app_version` and `ip_address` (how it begins)."),
    S("LAKEWARD_MESSAGES", "messages", "choice", "auto",
      "How messages travel: `console` shows them in the log of the process that sends, `live` "
      "hands them to Twilio and SendGrid, `auto` means console in development and live "
      "elsewhere.", choices=("auto", "console", "live")),
    S("LAKEWARD_TEMPLATES", "templates", "folder", "",
      "Folder of message templates; empty means `templates/messages` beside the `.env` files."),
    S("LAKEWARD_OUTBOX_DAYS", "outbox_days", "count", "30",
      "Days that the outbox remembers a message that was sent or given up, without address and "
      "text; 0 keeps them.", most=36_500),
    S("LAKEWARD_TWILIO_ENDPOINT", "twilio_endpoint", "text", "",
      "Address of a service that speaks Twilio's protocol; empty means Twilio itself."),
    S("LAKEWARD_SENDGRID_ENDPOINT", "sendgrid_endpoint", "text", "",
      "Address of a service that speaks SendGrid's protocol, such as its EU region; empty means "
      "SendGrid itself."),
    S("LAKEWARD_DEMO_STORE", "demo_store", "text", "",
      "Where uploaded demos are kept: `s3://bucket/prefix`; empty means `demos/` in the lake's "
      "private folder."),
    S("LAKEWARD_DEMO_BYTES", "demo_bytes", "bytes", "2GiB",
      "Largest demo that may be uploaded.", least=1, most=1 << 43),
    S("LAKEWARD_DEMO_QUOTA_BYTES", "demo_quota_bytes", "bytes", "20GiB",
      "What all demos of one partner may have together, unfinished uploads as if they were whole.",
      least=1),
    S("LAKEWARD_DEMO_QUOTA_FILES", "demo_quota_files", "count", "50",
      "How many demos one partner may have, unfinished uploads among them.",
      least=1, most=100_000),
    S("LAKEWARD_DEMO_EXPIRY_SECONDS", "demo_expiry_seconds", "seconds", "86400",
      "How long an unfinished upload waits for its next byte.", least=1, most=31_536_000),
    S("LAKEWARD_DEMO_DURATION_SECONDS", "demo_duration_seconds", "seconds", "7200",
      "Longest video or sound that is taken.", least=1, most=864_000),
    S("LAKEWARD_DEMO_STEP_SECONDS", "demo_step_seconds", "seconds", "3600",
      "Longest time that one step of processing a demo may take.", least=1, most=864_000),
    S("LAKEWARD_DEMO_MEMORY", "demo_memory", "bytes", "2GiB",
      "Memory that one step of processing a demo may take.", least=64 * MIB, most=1 << 40),
    S("LAKEWARD_WHISPER_MODEL", "whisper_model", "folder", "",
      "Folder of a faster-whisper model, with which demos are transcribed on this machine."),
    S("LAKEWARD_TRANSCRIBE", "transcribe", "flag", "false",
      "Whether Amazon Transcribe transcribes demos where no model does; they must be in S3."),
    S("LAKEWARD_INVITE_DAYS", "invite_days", "count", "30",
      "Days that the link of an invitation to speak of a partner can be used.", least=1, most=365),
    S("LAKEWARD_INVITE_REMINDERS", "invite_reminders", "list", "4,10",
      "Days after the first message on which somebody who did not answer is reminded; empty means "
      "never."),
    S("LAKEWARD_INVITE_QUIET", "invite_quiet", "text", "20:00-09:00",
      "Hours in which nobody is invited or reminded, by the clocks where the person is; empty "
      "means none."),
    S("LAKEWARD_INVITE_ZONE", "invite_zone", "text", "UTC",
      "Zone of these clocks where neither person nor partner has one, such as `Europe/Berlin`."),
    S("LAKEWARD_INVITE_CAP", "invite_cap", "count", "4",
      "Most messages that one person is sent within 30 days, whichever partner they are about.",
      least=1, most=100),
    S("LAKEWARD_QUARTERLY", "quarterly", "flag", "true",
      "Ask customers who gave a reference again in each later quarter."),
    S("LAKEWARD_SENDGRID_WEBHOOK_KEY", "sendgrid_webhook_key", "text", "",
      "Public key by which SendGrid signs what it tells of messages."),
    S("LAKEWARD_COACH_URL", "coach_url", "text", "",
      "Base address of an OpenAI-compatible service that the demo's AI coach asks, such as "
      "`https://api.openai.com/v1`; empty means a bundled local one that says it is a demo."),
    S("LAKEWARD_COACH_KEY", "coach_key", "text", "",
      "Key for that service.", secret=True),
    S("AI_MODEL", "ai_model", "text", "", "Model that the demo's AI coach asks for."),
    S("AI_CONTENT", "ai_content", "choice", "full",
      "What is kept of what was said to an AI and by it: `full` is scrubbed as everything is, "
      "`redacted` also without e-mail addresses and telephone numbers, `none` nothing but roles "
      "and numbers.", choices=("full", "redacted", "none")),
    S("LAKEWARD_EMBEDDING_MODEL", "embedding_model", "folder", "",
      "Folder with `model.onnx` and `tokenizer.json` of a sentence model by which messages are "
      "compared; empty means the packaged one when it is installed, else words alone."),
    S("LAKEWARD_AI_PRICES", "ai_prices", "folder", "",
      "TOML file with prices of your own for models; empty means the public list alone."),
    S("LAKEWARD_FLAGS", "flags", "text", "",
      "Where feature flags come from: a file in JSON or TOML, or `database`; empty means none."),
    S("TWILIO_ACCOUNT_SID", "twilio_account_sid", "text", "", "Twilio account.", secret=True),
    S("TWILIO_AUTH_TOKEN", "twilio_auth_token", "text", "", "Twilio token.", secret=True),
    S("TWILIO_PHONE_NUMBER", "twilio_phone_number", "text", "", "Sender of text messages."),
    S("SENDGRID_API_KEY", "sendgrid_api_key", "text", "", "SendGrid key.", secret=True),
    S("SENDGRID_FROM_EMAIL", "sendgrid_from_email", "text", "", "Sender of e-mail."),
)  # fmt: skip
del S


class Source(msgspec.Struct, frozen=True):
    """Where settings come from, for what may change while the app runs."""

    env_file: Path
    fixed: frozenset[str]
    """Variables that the environment sets: a file cannot change them."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force; one attribute for each row of `SETTINGS`, and where they are from.

    Percentages are in hundredths: 100 % is 10,000.
    """

    environment: str
    collect: bool
    track_outcomes: bool
    app_version: str
    service: str
    lake_dir: Path
    ring_dir: Path | None
    ring_bytes: int
    ring_lanes: int
    frame_bytes: int
    keeper: Literal["spawn", "external", "thread"]
    keeper_idle_seconds: float
    segment_bytes: int
    exit_seconds: float
    exclude: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    session_cookie: str
    session_header: str
    headers: tuple[str, ...]
    ip: Literal["full", "truncate", "hash", "none"]
    privacy_signal: Literal["full", "anonymous", "none"]
    consent: Literal["full", "anonymous", "none"]
    detect_emails: bool
    detect_phones: bool
    sensitive_keys: tuple[str, ...]
    allow_keys: tuple[str, ...]
    sensitive_paths: tuple[str, ...]
    rollout_api_calls: int
    rollout_bodies: int
    rollout_outcomes: int
    rollout_ai_content: int
    rollout_browser_events: int
    rollout_s3: int
    rollout_dynamodb: int
    allowed_hosts: tuple[str, ...]
    batch_bytes: int
    batch_events: int
    event_bytes: int
    ai_event_bytes: int
    rate_address: int
    rate_key: int
    paths: tuple[str, ...]
    path_prefix: str
    public_url: str
    login_seconds: float
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str
    database_url: str
    individual_files: Literal["auto", "on", "off"]
    individual_files_days: int
    webhook_url: str
    webhook_secret: str
    webhook_private: bool
    webhook_seconds: float
    followers: tuple[str, ...]
    use_s3: bool
    use_dynamodb: bool
    aws_region: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_endpoint: str
    aws_seconds: float
    data_lake_bucket: str
    s3_seconds: float
    s3_bytes: int
    keys: tuple[str, ...]
    ack: Literal["disk", "s3"]
    ack_seconds: float
    s3_kms_key: str
    interactions_table: str
    dynamodb_ttl_days: int
    follower_lag_days: int
    compact: bool
    table: str
    compact_seconds: float
    compact_bytes: int
    compact_memory: int
    rollup_rows: int
    vacuum_seconds: float
    geoip: Path | None
    query_seconds: float
    query_memory: int
    athena_table: str
    athena_workgroup: str
    athena_output: str
    retention_days: int
    retention_types: tuple[str, ...]
    flows: Path | None
    flow_quiet_seconds: float
    alerts: Path | None
    internal: tuple[str, ...]
    messages: Literal["auto", "console", "live"]
    templates: Path | None
    outbox_days: int
    twilio_endpoint: str
    sendgrid_endpoint: str
    demo_store: str
    demo_bytes: int
    demo_quota_bytes: int
    demo_quota_files: int
    demo_expiry_seconds: float
    demo_duration_seconds: float
    demo_step_seconds: float
    demo_memory: int
    whisper_model: Path | None
    transcribe: bool
    invite_days: int
    invite_reminders: tuple[str, ...]
    invite_quiet: str
    invite_zone: str
    invite_cap: int
    quarterly: bool
    sendgrid_webhook_key: str
    coach_url: str
    coach_key: str
    ai_model: str
    ai_content: Literal["full", "redacted", "none"]
    embedding_model: Path | None
    ai_prices: Path | None
    flags: str
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_phone_number: str
    sendgrid_api_key: str
    sendgrid_from_email: str
    source: Source

    def __repr__(self) -> str:
        """Name the lake and nothing secret."""
        return f"<Settings {self.environment} {self.lake_dir}>"


PLACEHOLDER = re.compile(
    r"(?i)^(?:<.*>|your[-_ ].*|change[-_ ]?me.*|replace[-_ ]?me.*|todo|xxx+|example|placeholder)$"
)
COMMENT = re.compile(r"(?:^|\s)#.*$")
ENVIRONMENT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
SIZE = re.compile(r"^(\d+)\s*(|B|KB|KiB|K|MB|MiB|M|GB|GiB|G)$", re.IGNORECASE)
UNITS = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": 1024 * MIB}


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read every setting; raise SettingError with one sentence for the first invalid one."""
    environ = os.environ if environ is None else environ
    try:
        folder = Path.cwd() if folder is None else folder
    except OSError:
        raise SettingError(
            "the working directory is gone: start the app in one that exists"
        ) from None
    environment = environ.get("LAKEWARD_ENV", "") or "development"
    if not ENVIRONMENT_NAME.fullmatch(environment):
        raise SettingError("LAKEWARD_ENV must be letters, digits, dots, dashes or underscores")
    env_file = folder / f".env.{environment}"
    file = read_env_file(env_file)
    values: dict[str, Any] = {}
    for row in SETTINGS:
        text = _first(row, environ.get(row.env), file.get(row.env))
        values[row.name] = _parse(row, text, folder)
    values["environment"] = environment
    fixed = frozenset(row.env for row in ROLLOUTS if _says_something(row, environ.get(row.env)))
    return Settings(**values, source=Source(env_file.absolute(), fixed))


ROLLOUTS: tuple[Setting, ...] = tuple(row for row in SETTINGS if row.kind == "percent")


def read_shares(environ: Mapping[str, str], file: Mapping[str, str]) -> tuple[int, ...]:
    """The rollout percentages alone, in hundredths, in the order of `ROLLOUTS`; SettingError."""
    return tuple(
        _percent(row, _first(row, environ.get(row.env), file.get(row.env))) for row in ROLLOUTS
    )


def spelled(environ: Mapping[str, str], file: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What each variable is set to, as it was written, and where that stands: `environment`,
    `file`, or `default`."""
    found = {}
    for row in SETTINGS:
        for origin, text in (("environment", environ.get(row.env)), ("file", file.get(row.env))):
            if text is not None and _says_something(row, text):
                found[row.env] = (text.strip(), origin)
                break
        else:
            found[row.env] = (row.default, "default")
    return found


def _first(row: Setting, *candidates: str | None) -> str:
    """The first that says something; nothing is a value for text and lists only."""
    for text in candidates:
        if text is not None and _says_something(row, text):
            return text.strip()
    return row.default


def _says_something(row: Setting, text: str | None) -> bool:
    if text is None or PLACEHOLDER.match(text.strip()):
        return False
    return bool(text.strip()) or row.kind in {"text", "list"}


def read_env_file(path: Path) -> dict[str, str]:
    """`KEY=value` lines; quotes are taken off, `export` and comments allowed; absent file → {}."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path.name} cannot be read ({type(error).__name__})") from None
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or key.startswith("#"):
            continue
        value = value.strip()
        if value[:1] in {'"', "'"}:
            end = value.find(value[0], 1)
            value = value[1 : end if end > 0 else None]
        else:
            value = COMMENT.sub("", value).rstrip()
        found[key.strip()] = value
    return found


def _parse(row: Setting, text: str, folder: Path) -> Any:
    match row.kind:
        case "text":
            return text
        case "flag":
            return _flag(row, text)
        case "list":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "choice":
            if text.lower() not in row.choices:
                raise SettingError(f"{row.env} must be one of {', '.join(row.choices)}")
            return text.lower()
        case "folder":
            return _folder(row, text, folder) if text else None
        case "seconds":
            return _bounded(row, text, float)
        case "count":
            return _bounded(row, text, int)
        case "percent":
            return _percent(row, text)
        case "bytes":
            size = SIZE.match(text)
            if not size:
                raise SettingError(f"{row.env} must be a size such as 8MiB")
            if len(size[1]) > 20:
                raise SettingError(f"{row.env} must be between {row.least} and {row.most}")
            return _bounded(row, int(size[1]) * UNITS[size[2][:1].lower()], int)


def _folder(row: Setting, text: str, folder: Path) -> Path:
    try:
        return (folder / Path(text).expanduser()).absolute()
    except RuntimeError:
        raise SettingError(f"{row.env} names the home of a user that does not exist") from None


def _percent(row: Setting, text: str) -> int:
    try:
        share = round(float(text.removesuffix("%").strip()) * 100)
    except (ValueError, OverflowError):
        share = -1
    if not 0 <= share <= 10_000:
        raise SettingError(f"{row.env} must be a percentage from 0 to 100")
    return share


def _flag(row: Setting, text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise SettingError(f"{row.env} must be true or false")


def _bounded(row: Setting, text: str | int, number: type[int] | type[float]) -> int | float:
    try:
        value = number(text)
    except ValueError:
        raise SettingError(f"{row.env} must be a number") from None
    if not row.least <= value <= row.most:
        raise SettingError(f"{row.env} must be between {row.least} and {row.most}")
    return value


def render_markdown() -> str:
    """The table as `docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Generated from `lakeward.settings.SETTINGS` (`make docs`). The environment wins over",
        "`.env.<environment>`, which wins over the default. Placeholder values such as `your-key`",
        "count as absent.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for row in SETTINGS:
        choices = f" One of {', '.join(f'`{c}`' for c in row.choices)}." if row.choices else ""
        secret = " Secret." if row.secret else ""
        default = f"`{row.default}`" if row.default else "(empty)"
        lines.append(f"| `{row.env}` | {default} | {row.doc}{choices}{secret} |")
    return "\n".join(lines) + "\n"
