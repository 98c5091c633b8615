-- +goose Up

-- Messages and calls decided and not yet delivered (bot/delivery). Narrow and
-- small: rows leave when they are done, and what became of them goes to history.
--
-- due_at is when some instance looks at the row next: when a pending one may go,
-- when the lease of a claimed or sending one ends, when an unknown one's echo is
-- looked for, when a held one is given up.
CREATE TABLE outbox (
    oa_id        text COLLATE "C" NOT NULL,
    citizen      text COLLATE "C" NOT NULL,
    id           bigint NOT NULL,             -- ordered by time, made by the instance that decided it
    priority     smallint NOT NULL CHECK (priority BETWEEN 0 AND 4), -- reply, urgent, notice, broadcast, upkeep
    kind         text COLLATE "C" NOT NULL,   -- message, or the kind of a call
    state        text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'claimed', 'sending', 'unknown', 'held')),
    tries        smallint NOT NULL DEFAULT 0, -- calls begun
    unsure       smallint NOT NULL DEFAULT 0, -- of these, calls whose fate nobody knows
    secret       boolean NOT NULL DEFAULT false, -- leaves no trace in history
    instance     text COLLATE "C",            -- who holds the lease
    due_at       timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    window_ends  timestamptz,                 -- Zalo takes it only until then, when known
    called_at    timestamptz,                 -- when the last call was about to begin
    echo_until   timestamptz,                 -- end of the wait for the echo of an unknown reply
    blocks_until timestamptz,                 -- once refused, it holds up later ones no longer than this
    cause        text,                        -- why it is held, or was refused last
    about        text COLLATE "C",            -- an older status about the same thing may give way
    body         bytea NOT NULL,              -- sealed
    PRIMARY KEY (oa_id, citizen, id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 20000);
ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX outbox_due ON outbox (priority, due_at);

-- What was said, both ways, and what became of what we sent.
CREATE TABLE history (
    oa_id    text COLLATE "C" NOT NULL,
    citizen  text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    outgoing boolean NOT NULL,
    priority smallint,                        -- of what we sent
    kind     text COLLATE "C" NOT NULL,
    msg_id   text COLLATE "C",                -- Zalo's
    outcome  text COLLATE "C",                -- of what we sent: sent, failed, dropped, unknown
    code     integer,                         -- Zalo's error code
    cause    text,
    body     bytea                            -- sealed text, long numbers masked
) PARTITION BY RANGE (at);
CREATE INDEX history_citizen ON history (oa_id, citizen, at);

-- Echoes that no answer of Zalo's has claimed, and receipts. Losing them costs a
-- statistic, or leaves an unknown so: its partitions are not logged.
CREATE TABLE receipt (
    oa_id   text COLLATE "C" NOT NULL,
    citizen text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    kind    text COLLATE "C" NOT NULL,        -- echo, delivered, seen
    msg_id  text COLLATE "C" NOT NULL,
    digest  bytea                             -- of an echo: keyed hash of its text
) PARTITION BY RANGE (at);
CREATE INDEX receipt_citizen ON receipt (oa_id, citizen, at);

-- Partitions of a week each, made ahead and dropped by the owner's functions, so
-- that the application's role needs no right to create tables.
-- +goose StatementBegin
CREATE FUNCTION make_delivery_partitions(today date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    d date := date_trunc('week', today)::date - 14;
    name text;
BEGIN
    FOR i IN 0 .. 4 LOOP
        BEGIN
            name := 'history_' || to_char(d, 'YYYYMMDD');
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF history FOR VALUES FROM (%L) TO (%L)',
                               name, d::text || ' 00:00+00', (d + 7)::text || ' 00:00+00');
            END IF;
            name := 'receipt_' || to_char(d, 'YYYYMMDD');
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE UNLOGGED TABLE IF NOT EXISTS %I PARTITION OF receipt FOR VALUES FROM (%L) TO (%L)',
                               name, d::text || ' 00:00+00', (d + 7)::text || ' 00:00+00');
            END IF;
        EXCEPTION WHEN check_violation THEN
            NULL; -- rows of that week stand in the default partition already, and stay there
        END;
        d := d + 7;
    END LOOP;
END $$;
-- +goose StatementEnd

-- Drops the partitions that end before the given days, and deletes what lies
-- outside all partitions and is as old. Kept: texts and receipts for the times
-- bot/delivery says.
-- +goose StatementBegin
CREATE FUNCTION drop_delivery_partitions(history_before date, receipts_before date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE t record;
BEGIN
    FOR t IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent IN ('history'::regclass, 'receipt'::regclass)
               AND c.relname ~ '^(history|receipt)_[0-9]{8}$'
               AND to_date(right(c.relname, 8), 'YYYYMMDD') + 7
                   <= CASE WHEN c.relname LIKE 'history%' THEN history_before ELSE receipts_before END
    LOOP
        EXECUTE format('DROP TABLE %I', t.relname);
    END LOOP;
    DELETE FROM history_default WHERE at < history_before;
    DELETE FROM receipt_default WHERE at < receipts_before;
END $$;
-- +goose StatementEnd

CREATE TABLE history_default PARTITION OF history DEFAULT;
CREATE UNLOGGED TABLE receipt_default PARTITION OF receipt DEFAULT;
SELECT make_delivery_partitions((now() AT TIME ZONE 'UTC')::date);
