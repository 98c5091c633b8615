-- +goose Up

-- Who is told when a dossier they keep changes (bot/dossier): since when, and when
-- they were told of it last.
ALTER TABLE dossier_kept ADD COLUMN follow timestamptz, ADD COLUMN told_at timestamptz;
-- A dossier's followers, in slices.
CREATE INDEX dossier_kept_follow ON dossier_kept (code_hash, oa_id, citizen) WHERE follow IS NOT NULL;

-- Dossiers that are watched: one row a followed code, however many follow it. It
-- leaves when nobody follows any more, or nothing more is coming.
CREATE TABLE dossier_watch (
    code_hash     bytea PRIMARY KEY,
    code          bytea NOT NULL,             -- sealed
    alias_hash    bytea,                      -- of the same dossier's other code
    since         timestamptz NOT NULL,
    fingerprint   bytea,                      -- keyed hash of the state told last; none: not looked at yet
    state         bytea,                      -- that state, sealed
    changed_at    timestamptz,                -- when the procedure system changed it last, as last seen
    looked_at     timestamptz,
    look_at       timestamptz NOT NULL,       -- looked at next, when there is time
    every_s       integer NOT NULL DEFAULT 86400, -- how often it should be, in seconds
    hint_at       timestamptz,                -- looked at before the ordinary ones: a hint, a retry, or a look in hand
    hint_for      timestamptz,                -- the change that was hinted at, where its time is known
    remind_at     timestamptz,                -- something is to be told by then though nothing changes
    due_told      timestamptz,                -- the due date of which "tomorrow" was told
    late_told     timestamptz,                -- the due date of which "overdue" was told
    missing_since timestamptz,                -- not found since
    ended_at      timestamptz,                -- the result was handed over: only the rating is left
    tries         smallint NOT NULL DEFAULT 0,
    last_error    text COLLATE "C"
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX dossier_watch_hint ON dossier_watch (hint_at) WHERE hint_at IS NOT NULL;
CREATE INDEX dossier_watch_remind ON dossier_watch (remind_at) WHERE remind_at IS NOT NULL AND hint_at IS NULL;
CREATE INDEX dossier_watch_look ON dossier_watch (look_at) WHERE hint_at IS NULL;
CREATE INDEX dossier_watch_alias ON dossier_watch (alias_hash) WHERE alias_hash IS NOT NULL;

-- The pace of looking, for all instances together; one row.
CREATE TABLE dossier_watch_pace (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    next_at      timestamptz NOT NULL DEFAULT '2000-01-01', -- when the next look may begin, had none been saved up
    stretch      real NOT NULL DEFAULT 1,     -- by how much looks are put off so that the rate suffices
    stretched_at timestamptz NOT NULL DEFAULT '2000-01-01',
    listed       boolean NOT NULL DEFAULT false, -- the list of changes is read
    read_at      timestamptz NOT NULL DEFAULT '2000-01-01', -- when an instance reads the list next
    read_to      timestamptz                  -- up to when it was read
);
INSERT INTO dossier_watch_pace DEFAULT VALUES;

-- How people rated the service. No person, no code and no day: what is said here
-- leads back to nobody.
CREATE TABLE rating (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    period         date NOT NULL,             -- the first of the month
    agency_code    text COLLATE "C" NOT NULL,
    agency_name    text NOT NULL,
    procedure_code text COLLATE "C" NOT NULL,
    procedure_name text NOT NULL,
    stars          smallint NOT NULL CHECK (stars BETWEEN 1 AND 5)
);
CREATE INDEX rating_period ON rating (period);

-- What people said beside it. Apart, for words come after the stars, and nothing
-- tells which rating was theirs.
CREATE TABLE rating_comment (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    period         date NOT NULL,
    agency_code    text COLLATE "C" NOT NULL,
    agency_name    text NOT NULL,
    procedure_code text COLLATE "C" NOT NULL,
    procedure_name text NOT NULL,
    stars          smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    comment        bytea NOT NULL             -- sealed
);
CREATE INDEX rating_comment_period ON rating_comment (period);

-- Who has rated which dossier, so that each is rated once by one person.
CREATE TABLE rating_given (
    oa_id     text COLLATE "C" NOT NULL,
    citizen   text COLLATE "C" NOT NULL,
    code_hash bytea NOT NULL,
    period    date NOT NULL,
    commented boolean NOT NULL,
    PRIMARY KEY (oa_id, citizen, code_hash)
);
CREATE INDEX rating_given_period ON rating_given (period);
