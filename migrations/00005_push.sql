-- +goose Up

-- A push is a message the channel sends of its own accord, to one person: a notice,
-- or one recipient's copy of a broadcast (bot/push). Rows of the outbox that carry
-- one name it in refs, and settle it when they are settled.
ALTER TABLE outbox ADD COLUMN refs bigint[], ADD COLUMN rung text COLLATE "C";

-- A number the person stated, and that stands on a dossier they opened with the
-- second factor: only such a one is written to (bot/citizen).
ALTER TABLE citizen ADD COLUMN phone_proven_at timestamptz, ADD COLUMN unfollowed_at timestamptz;

-- Numbers of notices and of the runs of broadcasts come from one sequence: source
-- alone tells which push of a person is meant.
CREATE SEQUENCE push_source;

-- One row a push. It stays until the retention job takes it.
--
-- state: pending (not handed to delivery yet), queued (stands in the outbox: waits,
-- claimed or being sent), held (waits for the person's next word), unknown (nobody
-- knows whether it arrived), sent, failed, skipped. The books of a broadcast are the
-- counts of these states; pending and queued together are what is still to come.
CREATE TABLE push (
    oa_id      text COLLATE "C" NOT NULL,
    citizen    text COLLATE "C" NOT NULL,     -- of who was erased: 'erased:' and a random number
    source     bigint NOT NULL,               -- the notice's number, or that of the broadcast's run
    kind       text COLLATE "C" NOT NULL,     -- 'broadcast', or the kind of notice
    class      smallint NOT NULL CHECK (class BETWEEN 1 AND 4), -- urgent, notice, correction, broadcast
    state      text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'queued', 'held', 'unknown', 'sent', 'failed', 'skipped')),
    reason     text COLLATE "C",              -- why it is held, skipped or failed
    rung       text COLLATE "C",              -- by which it went, or goes
    tried      smallint NOT NULL DEFAULT 0,   -- rungs that are closed for it, a bit each
    cost       integer NOT NULL DEFAULT 0,    -- đồng, once it is sent or unknown
    seen       smallint NOT NULL DEFAULT 0,   -- 1: delivered, 2: read
    unsure     boolean NOT NULL DEFAULT false,-- it is, or was, unknown
    digest     boolean NOT NULL DEFAULT false,-- goes together with others of that hour
    due_at     timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    made_at    timestamptz NOT NULL,
    fed_at     timestamptz,                   -- handed to delivery last
    ended_at   timestamptz,
    msg_id     text COLLATE "C",              -- Zalo's
    key        bytea,                         -- of a notice: equal keys are one notice
    about      bytea,                         -- keyed hash of what it is about: a newer one takes an older one's place
    body       bytea,                         -- of a notice: its content, sealed
    PRIMARY KEY (oa_id, citizen, source)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
ALTER TABLE push ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX push_key ON push (oa_id, citizen, key) WHERE key IS NOT NULL;
-- What is fed next: notices by time, copies by run and person, digests by hour.
CREATE INDEX push_due ON push (oa_id, class, due_at, citizen, source) WHERE state = 'pending' AND kind <> 'broadcast' AND NOT digest;
CREATE INDEX push_run ON push (source, oa_id, citizen) WHERE state = 'pending' AND kind = 'broadcast' AND NOT digest;
CREATE INDEX push_digest ON push (oa_id, due_at, citizen) WHERE state = 'pending' AND digest;
-- What waits for a word, or for a person's decision.
CREATE INDEX push_waiting ON push (source, oa_id, citizen) WHERE state IN ('held', 'unknown');
CREATE INDEX push_ends ON push (expires_at) WHERE state IN ('pending', 'held');
CREATE INDEX push_made ON push USING brin (made_at); -- for the retention job

-- Counts by state, as differences: whoever changes states adds rows here in the same
-- transaction, nobody waits for a counter, and a job folds them. Source 0 holds the
-- notices of all kinds together, by kind.
CREATE TABLE push_tally (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source bigint NOT NULL,
    kind   text COLLATE "C" NOT NULL,
    state  text COLLATE "C" NOT NULL,         -- a state of push; 'delivered' and 'read' count receipts
    reason text COLLATE "C" NOT NULL DEFAULT '',
    rung   text COLLATE "C" NOT NULL DEFAULT '',
    day    date NOT NULL,
    n      bigint NOT NULL,
    cost   bigint NOT NULL DEFAULT 0
);
CREATE INDEX push_tally_source ON push_tally (source);

-- How and when a person may be written to, and how often they were.
CREATE TABLE push_person (
    oa_id        text COLLATE "C" NOT NULL,
    citizen      text COLLATE "C" NOT NULL,
    day          date NOT NULL DEFAULT '2000-01-01', -- of the two counters
    pushes       smallint NOT NULL DEFAULT 0,
    urgent       smallint NOT NULL DEFAULT 0,
    held         integer NOT NULL DEFAULT 0,  -- pushes that wait for a word
    stopped_at   timestamptz,                 -- "stop everything"
    paused_until timestamptz,
    quiet_from   smallint,                    -- minutes of the local day; both or none
    quiet_to     smallint,
    digest_at    smallint,                    -- minute of the local day; none: at once
    daily_most   smallint,                    -- the person's own number a day
    PRIMARY KEY (oa_id, citizen)
) WITH (fillfactor = 80);

-- Messages by rung and local day, for budgets.
CREATE TABLE push_budget (
    oa_id text COLLATE "C" NOT NULL,
    rung  text COLLATE "C" NOT NULL,
    day   date NOT NULL,
    used  bigint NOT NULL,
    PRIMARY KEY (oa_id, rung, day)
) WITH (fillfactor = 50);

-- Rungs that Zalo closed for everybody: a quota that is used up, a template that was
-- switched off.
CREATE TABLE push_rung (
    oa_id  text COLLATE "C" NOT NULL,
    rung   text COLLATE "C" NOT NULL,
    what   text COLLATE "C" NOT NULL DEFAULT '', -- the template, where only that is closed
    until  timestamptz NOT NULL,
    cause  text NOT NULL,
    PRIMARY KEY (oa_id, rung, what)
);

-- Which instance feeds pushes to delivery: a matter of not getting in each other's
-- way, for a push is queued only where it is still pending.
CREATE TABLE push_feed (
    oa_id    text COLLATE "C" PRIMARY KEY,
    instance text COLLATE "C" NOT NULL,
    until    timestamptz NOT NULL
);

-- Up to when receipts have been counted among pushes; they stand in the order of time.
CREATE TABLE push_counted (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    upto   timestamptz NOT NULL
);
CREATE INDEX receipt_at ON receipt USING brin (at);

-- Zalo's own description of the templates in use.
CREATE TABLE push_template (
    oa_id       text COLLATE "C" NOT NULL,
    template_id text COLLATE "C" NOT NULL,
    params      jsonb NOT NULL,
    price_user  integer NOT NULL,             -- đồng, by user id
    price_phone integer NOT NULL,             -- đồng, by phone
    status      text COLLATE "C" NOT NULL,
    checked_at  timestamptz NOT NULL,
    PRIMARY KEY (oa_id, template_id)
);
