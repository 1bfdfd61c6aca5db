-- The control schema. Everything in it belongs to rv_owner.

CREATE SCHEMA rolevend AUTHORIZATION rv_owner;

REVOKE ALL ON SCHEMA rolevend FROM PUBLIC;

SET LOCAL ROLE rv_owner;

-- Which version of these files was installed last.
CREATE TABLE IF NOT EXISTS rolevend.version (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    version      integer NOT NULL,
    vendor       name NOT NULL,
    programmer   name NOT NULL,
    schemas      name[] NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- reach: which rights the hardening takes from PUBLIC, 'server' or 'database'. logins_before: those of the two logins that existed before
-- the first installation, and that an uninstallation keeps. observer: the login that only looks at what runs; NULL where there is none.
ALTER TABLE rolevend.version
    ADD COLUMN IF NOT EXISTS reach text NOT NULL DEFAULT 'server',
    ADD COLUMN IF NOT EXISTS logins_before name[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS observer name;

-- The rights that the hardening took from PUBLIC, as GRANT names them: an uninstallation gives back these, and no others.
CREATE TABLE IF NOT EXISTS rolevend.taken (
    kind      text NOT NULL CHECK (kind IN ('DATABASE', 'SCHEMA', 'LANGUAGE', 'FUNCTION')),
    object    text NOT NULL,
    privilege text NOT NULL CHECK (privilege ~ '^[A-Z]+$'),
    PRIMARY KEY (kind, object, privilege)
);

-- A template: one role that owns views, and the row policy that shows it rows of one table.
CREATE TABLE IF NOT EXISTS rolevend.template (
    template   name PRIMARY KEY CHECK (template ~ '^rv_t_[0-9a-f]{32}$'),
    cluster_id text NOT NULL,
    table_oid  oid NOT NULL,
    schema_name name NOT NULL,
    table_name name NOT NULL,
    policies   jsonb NOT NULL,                       -- {kind: {name: text}} of rolevend.policies(), when it was made
    rebuild    boolean NOT NULL DEFAULT false,       -- somebody looked at a drift, and the operator may put it right
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS template_table ON rolevend.template (table_oid);

-- A profile: one role that is granted to vended roles, and a schema of the same name that holds its views.
-- A row here is the leave to vend it, so it is inserted last. The CHECK keeps other roles, such as a superuser, out of reach.
CREATE TABLE IF NOT EXISTS rolevend.profile (
    profile    name PRIMARY KEY CHECK (profile ~ '^rv_p_[0-9a-z]+$'),
    cluster_id text NOT NULL,
    digest     text NOT NULL,                        -- of the SQL that built it; another one is rebuilt when it is next needed
    templates  name[] NOT NULL,
    tables     jsonb NOT NULL,                       -- view -> [schema, table, oid of the table]
    views      jsonb NOT NULL,                       -- as rolevend.views() saw them when the profile was made
    drift      text,                                 -- why it must not be vended now
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- functions: what the profile may call, {signature: [schema, name with arguments, oid]}.
ALTER TABLE rolevend.profile ADD COLUMN IF NOT EXISTS functions jsonb NOT NULL DEFAULT '{}';

-- form: how the views of the profile read their tables. Before 2 they had no fence, and told the values of hidden rows.
ALTER TABLE rolevend.profile ADD COLUMN IF NOT EXISTS form integer NOT NULL DEFAULT 1;

-- A lease: what one vended role may see, and until when. The row outlives the role as a tombstone, so that a vend that arrives
-- late is refused. A live lease has everything; a tombstone of a role that never was has only its name.
CREATE TABLE IF NOT EXISTS rolevend.lease (
    role       name PRIMARY KEY,
    cluster_id text NOT NULL,
    uid        text NOT NULL,
    role_oid   oid,
    profile    name REFERENCES rolevend.profile ON DELETE SET NULL,
    agent      text,
    issuer     text,
    subject    text,
    attrs      jsonb NOT NULL DEFAULT '{}',
    issued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    reason     text,
    dropped_at timestamptz,
    CONSTRAINT live_lease_is_whole CHECK (
        revoked_at IS NOT NULL
        OR (profile IS NOT NULL AND agent IS NOT NULL AND issuer IS NOT NULL AND subject IS NOT NULL AND expires_at IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- limits: what the role may use at most, see rolevend.vend(). active_at: when its agent was last seen at work, see rolevend.curb().
-- resources: {schema: [table, ...]}, the only tables of the profile that the role reads; NULL for all of them.
ALTER TABLE rolevend.lease
    ADD COLUMN IF NOT EXISTS limits jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS active_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN IF NOT EXISTS resources jsonb;

-- The columns of a role that the HTTP API vends, which has no object in Kubernetes. NULL for every other role, except changed.
-- record: the VendedRole as JSON. record_name: its namespace/name. record_profile: as profile, also after the profile was collected.
-- call: the digest of the call's body. seal: a digest of the row that only the operator and the API can compute. token, token_until: the
-- token that was used. confirmed_at: when the answer was sent. ended_by, ended_message: of the end. ended_pids: the sessions that it
-- terminated. reported_at: when the end was in the audit trail. changed: the last transaction that changed the row for a reader of records;
-- each statement that does so sets it, and a trigger would lock each row of the table once more, with a record or without. Of a role
-- without a record it is the transaction that vended it.
ALTER TABLE rolevend.lease
    ADD COLUMN IF NOT EXISTS record_name text,
    ADD COLUMN IF NOT EXISTS record text,
    ADD COLUMN IF NOT EXISTS record_profile name,
    ADD COLUMN IF NOT EXISTS call text,
    ADD COLUMN IF NOT EXISTS seal text,
    ADD COLUMN IF NOT EXISTS token text,
    ADD COLUMN IF NOT EXISTS token_until timestamptz,
    ADD COLUMN IF NOT EXISTS confirmed_at timestamptz,
    ADD COLUMN IF NOT EXISTS ended_by text,
    ADD COLUMN IF NOT EXISTS ended_message text,
    ADD COLUMN IF NOT EXISTS ended_pids integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS reported_at timestamptz,
    ADD COLUMN IF NOT EXISTS changed xid8;

CREATE UNIQUE INDEX IF NOT EXISTS lease_record_uid ON rolevend.lease (cluster_id, uid) WHERE record IS NOT NULL;

CREATE INDEX IF NOT EXISTS lease_record_name ON rolevend.lease (cluster_id, record_name) WHERE record IS NOT NULL;

CREATE INDEX IF NOT EXISTS lease_record_changed ON rolevend.lease (cluster_id, changed) WHERE record IS NOT NULL;

-- For the live roles without a record: one that has no object either was vended with a stolen login.
CREATE INDEX IF NOT EXISTS lease_unrecorded ON rolevend.lease (cluster_id, changed) WHERE record IS NULL AND revoked_at IS NULL;

-- For the roles of one agent, and for all whose end is not reported. Only a dropped role is reported.
CREATE INDEX IF NOT EXISTS lease_record_open ON rolevend.lease (cluster_id, agent) WHERE record IS NOT NULL AND reported_at IS NULL;

-- The tokens that proved a role: each proves one alone. holder: the uid of the role.
CREATE TABLE IF NOT EXISTS rolevend.used_token (
    digest     text NOT NULL,
    cluster_id text NOT NULL,
    holder     text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (cluster_id, digest)
);

CREATE INDEX IF NOT EXISTS used_token_expiry ON rolevend.used_token (expires_at);

-- One row for each agent that had a role with a record. A vend of such a role locks it.
CREATE TABLE IF NOT EXISTS rolevend.counted (
    cluster_id text NOT NULL,
    agent      text NOT NULL,
    PRIMARY KEY (cluster_id, agent)
);

-- live: at least the number of its live roles with a record. Each vend adds its own; drops, which do not wait for vends, leave it. NULL: not
-- counted yet.
ALTER TABLE rolevend.counted ADD COLUMN IF NOT EXISTS live bigint;

CREATE INDEX IF NOT EXISTS lease_expiry ON rolevend.lease (expires_at) WHERE dropped_at IS NULL;

CREATE INDEX IF NOT EXISTS lease_profile ON rolevend.lease (profile);

CREATE INDEX IF NOT EXISTS lease_idle ON rolevend.lease (cluster_id) WHERE revoked_at IS NULL AND limits ? 'idle_seconds';

-- The secret of the mask Hash. Everybody can read the text of a view, so it is not in there.
CREATE TABLE IF NOT EXISTS rolevend.salt (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt bytea NOT NULL
);

-- domain: the name under which several databases were given one secret, so that their hashes can be joined; NULL: it is this one's alone.
ALTER TABLE rolevend.salt ADD COLUMN IF NOT EXISTS domain text;

INSERT INTO rolevend.salt (salt)
VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
ON CONFLICT DO NOTHING;

-- When a scheduler last called rolevend.sweep(): the proof that roles die here without the operator.
CREATE TABLE IF NOT EXISTS rolevend.swept (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at  timestamptz NOT NULL
);

-- When the sessions of a cluster's roles were last looked at, where it matters how long a role is idle.
CREATE TABLE IF NOT EXISTS rolevend.looked (
    cluster_id text PRIMARY KEY,
    at         timestamptz NOT NULL
);

RESET ROLE;
