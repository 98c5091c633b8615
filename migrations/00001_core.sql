-- +goose Up

-- Keys of personal data, wrapped by DATA_KEY (bot/seal).
CREATE TABLE data_key (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purpose    text NOT NULL CHECK (purpose IN ('data', 'hash')),
    wrapped    bytea NOT NULL,
    wrapped_by bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Instances alive, and which database server they knew (cmd/congdanso).
CREATE TABLE instance (
    id         text COLLATE "C" PRIMARY KEY,
    roles      text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at    timestamptz NOT NULL DEFAULT now()
);

-- One row: when any instance beat last. It outlives the instances.
CREATE TABLE heartbeat (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    beat_at timestamptz
);
INSERT INTO heartbeat DEFAULT VALUES;

-- One row: the server this installation last ran on. Where the server says
-- something else (failover, restore), nothing is sent until `congdanso resume`.
CREATE TABLE installation (
    single            boolean PRIMARY KEY DEFAULT true CHECK (single),
    system_identifier text,
    timeline          integer,
    resumed_at        timestamptz,
    -- Deliveries refused with 503 since then wait for reconciling.
    refused_since     timestamptz,
    reconciled_at     timestamptz
);
INSERT INTO installation DEFAULT VALUES;

-- Events accepted and not yet turned (bot/inbox). Narrow and small: rows leave
-- with their turn's commit.
CREATE TABLE inbox (
    oa_id       text COLLATE "C" NOT NULL,
    citizen     text COLLATE "C" NOT NULL,
    key         bytea NOT NULL,              -- keyed hash of the event's identity
    signed_at   timestamptz NOT NULL,
    accepted_at timestamptz NOT NULL,
    tries       smallint NOT NULL DEFAULT 0,
    ours        boolean NOT NULL DEFAULT false, -- a promise of our own (bot.Due), not a delivery of Zalo's
    body        bytea NOT NULL,              -- sealed
    PRIMARY KEY (oa_id, citizen, key)
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 20000);
ALTER TABLE inbox ALTER COLUMN body SET STORAGE EXTERNAL;

-- Who is turning a citizen's events. Losing it in a crash of Postgres is safe:
-- a turn commits only while its token stands here.
CREATE UNLOGGED TABLE inbox_claim (
    oa_id      text COLLATE "C" NOT NULL,
    citizen    text COLLATE "C" NOT NULL,
    token      bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    resting    boolean NOT NULL DEFAULT false, -- given back, to be left alone until expires_at
    rested     boolean NOT NULL DEFAULT false, -- it was resting when it was taken last
    PRIMARY KEY (oa_id, citizen)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

-- Identities of events already turned, by the day they were signed: the same
-- event accepted again has no second effect. Kept at least eight days.
CREATE TABLE turned_event (
    day date NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (day, key)
) PARTITION BY RANGE (day);

-- Events that could not be turned, with their cause; staff can retry them.
CREATE TABLE dead_letter (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    oa_id      text COLLATE "C" NOT NULL,
    citizen    text COLLATE "C" NOT NULL,     -- empty when nobody could be made out
    key        bytea NOT NULL,
    cause      text NOT NULL,                 -- says what failed; never a person's data
    signed_at  timestamptz NOT NULL,
    died_at    timestamptz NOT NULL DEFAULT now(),
    retried_at timestamptz,
    body       bytea NOT NULL                 -- sealed
);
CREATE INDEX dead_letter_citizen ON dead_letter (oa_id, citizen);
CREATE INDEX dead_letter_died_at ON dead_letter (died_at);

-- People on the channel (bot/citizen).
CREATE TABLE citizen (
    oa_id        text COLLATE "C" NOT NULL,
    citizen      text COLLATE "C" NOT NULL,
    language     text NOT NULL DEFAULT 'vi',
    following    boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    name         bytea,                       -- sealed
    phone        bytea,                       -- sealed, 84…
    phone_hash   bytea,
    PRIMARY KEY (oa_id, citizen)
);
CREATE INDEX citizen_phone ON citizen (phone_hash) WHERE phone_hash IS NOT NULL;

-- Where each citizen stands (bot/runtime), updated by every turn.
CREATE TABLE conversation (
    oa_id         text COLLATE "C" NOT NULL,
    citizen       text COLLATE "C" NOT NULL,
    turned_at     timestamptz NOT NULL,       -- signed time of the last turned event
    interacted_at timestamptz,                -- signed time of the last interaction: Zalo's 48 hours and 7 days run from it
    quiet_until   timestamptz,                -- staff are writing with them
    state         bytea,                      -- sealed
    PRIMARY KEY (oa_id, citizen)
) WITH (fillfactor = 70);

-- Consent, one row a giving: per purpose, with the text's version, time, channel.
CREATE TABLE consent (
    oa_id        text COLLATE "C" NOT NULL,
    citizen      text COLLATE "C" NOT NULL,
    purpose      text NOT NULL,
    text_version text NOT NULL,
    channel      text NOT NULL,
    given_at     timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (oa_id, citizen, purpose, given_at)
);

-- What is left of somebody erased: a keyed hash and the time. Events signed
-- before it are dropped.
CREATE TABLE tombstone (
    key       bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL
);

-- Partitions are made ahead and dropped by the owner's functions, so that the
-- application's role needs no right to create tables. A week each: a statement
-- that checks an identity has few of them to look at.
-- +goose StatementBegin
CREATE FUNCTION make_turned_event_partitions(today date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE d date := date_trunc('week', today)::date - 14;
BEGIN
    FOR i IN 0 .. 4 LOOP
        IF to_regclass('turned_event_' || to_char(d, 'YYYYMMDD')) IS NULL THEN
            EXECUTE format('CREATE TABLE IF NOT EXISTS turned_event_%s PARTITION OF turned_event FOR VALUES FROM (%L) TO (%L)',
                           to_char(d, 'YYYYMMDD'), d, d + 7);
        END IF;
        d := d + 7;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION drop_turned_event_partitions(before_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE t record;
BEGIN
    FOR t IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'turned_event'::regclass AND c.relname ~ '^turned_event_[0-9]{8}$'
               AND to_date(right(c.relname, 8), 'YYYYMMDD') + 7 <= before_day
    LOOP
        EXECUTE format('DROP TABLE %I', t.relname);
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE TABLE turned_event_default PARTITION OF turned_event DEFAULT;
SELECT make_turned_event_partitions((now() AT TIME ZONE 'UTC')::date);

-- What operators are told by mail and has not gone out yet (bot/alert).
CREATE TABLE alert (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key       text NOT NULL,
    data      jsonb,
    raised_at timestamptz NOT NULL DEFAULT now()
);
