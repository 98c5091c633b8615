-- +goose Up

-- Dossiers citizens keep (bot/dossier).
CREATE TABLE dossier_kept (
    oa_id     text COLLATE "C" NOT NULL,
    citizen   text COLLATE "C" NOT NULL,
    code_hash bytea NOT NULL,
    code      bytea NOT NULL,                 -- sealed
    kept_at   timestamptz NOT NULL,
    PRIMARY KEY (oa_id, citizen, code_hash)
);

-- Second factors that were right. Bound to one dossier, for a code can name two.
CREATE TABLE dossier_proof (
    oa_id        text COLLATE "C" NOT NULL,
    citizen      text COLLATE "C" NOT NULL,
    code_hash    bytea NOT NULL,
    dossier_hash bytea NOT NULL,
    granted_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (oa_id, citizen, code_hash)
);
CREATE INDEX dossier_proof_expires_at ON dossier_proof (expires_at);

-- Guesses at second factors, written before the digits are compared. Hashes
-- only, so that they outlive an erasure until their own end, a few days later.
CREATE TABLE dossier_guess (
    code_hash    bytea NOT NULL,
    citizen_hash bytea NOT NULL,
    event_hash   bytea NOT NULL,
    guess_hash   bytea NOT NULL,              -- of event, code and digits: the same guess counts once
    guessed_at   timestamptz NOT NULL,
    citizen_n    smallint NOT NULL,           -- wrong guesses in a row of this citizen, this one included
    code_n       smallint NOT NULL,           -- wrong guesses of the day of everybody, this one included
    dossier_hash bytea,                       -- set once the digits proved right
    cleared      boolean NOT NULL DEFAULT false, -- no longer counts against the citizen
    PRIMARY KEY (code_hash, guess_hash)
);
CREATE INDEX dossier_guess_guessed_at ON dossier_guess (guessed_at);

-- Look-ups that count against who asks for too many unknown codes. Hashes only.
CREATE TABLE dossier_miss (
    citizen_hash bytea NOT NULL,
    miss_hash    bytea NOT NULL,              -- of event and code
    missed_at    timestamptz NOT NULL,
    unknown      boolean NOT NULL,            -- false: a code that exists, answered while throttled
    PRIMARY KEY (citizen_hash, miss_hash)
);
CREATE INDEX dossier_miss_missed_at ON dossier_miss (missed_at);

-- The last public state seen of each dossier, for when the procedure system
-- does not answer. seen_at has no index: each look-up moves it, and without one
-- that stays within the page; the nightly purge reads the table.
CREATE TABLE dossier_known (
    code_hash bytea PRIMARY KEY,
    public    bytea NOT NULL,                 -- sealed JSON of the public part
    seen_at   timestamptz NOT NULL
) WITH (fillfactor = 80);

-- Promises to tell a citizen when a dossier can be seen again.
CREATE TABLE dossier_callback (
    oa_id      text COLLATE "C" NOT NULL,
    citizen    text COLLATE "C" NOT NULL,
    code_hash  bytea NOT NULL,
    code       bytea NOT NULL,                -- sealed
    asked_at   timestamptz NOT NULL,
    due_at     timestamptz NOT NULL,
    tries      smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (oa_id, citizen, code_hash)
);
CREATE INDEX dossier_callback_due_at ON dossier_callback (due_at);
