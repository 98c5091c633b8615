-- +goose Up

-- Tags that people bear at Zalo, as the last import of followers found them
-- (bot/broadcast).
CREATE TABLE citizen_tag (
    oa_id   text COLLATE "C" NOT NULL,
    citizen text COLLATE "C" NOT NULL,
    tag     text NOT NULL,
    seen_at timestamptz NOT NULL,             -- by the import that found it last
    PRIMARY KEY (oa_id, citizen, tag)
);
CREATE INDEX citizen_tag_tag ON citizen_tag (oa_id, tag);

-- The import of the account's followers: one row an account, and what of it is done.
CREATE TABLE follower_import (
    oa_id       text COLLATE "C" PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    since       date NOT NULL,                -- the days looked at: of people's last interaction
    upto        date NOT NULL,
    finished_at timestamptz,
    found       bigint NOT NULL DEFAULT 0,    -- people listed
    made        bigint NOT NULL DEFAULT 0,    -- of them not known before
    missed      bigint NOT NULL DEFAULT 0     -- listed in number, but beyond what Zalo lets be read
);
CREATE TABLE follower_import_slice (
    oa_id text COLLATE "C" NOT NULL REFERENCES follower_import ON DELETE CASCADE,
    slice text COLLATE "C" NOT NULL,          -- a day, a range of days, a tag
    PRIMARY KEY (oa_id, slice)
);

-- Uploaded lists. The head stays for the record; its numbers go at purge_at.
CREATE TABLE broadcast_list (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    oa_id       text COLLATE "C" NOT NULL,
    title       text NOT NULL,
    source      text NOT NULL,                -- where it comes from, as declared
    basis       text NOT NULL,                -- on which legal basis it is used, as declared
    digest      bytea NOT NULL,               -- of its numbers, whatever their order: part of an approval
    people      integer NOT NULL,             -- different numbers
    duplicates  integer NOT NULL,
    faults      integer NOT NULL,
    uploaded_by text NOT NULL,
    uploaded_at timestamptz NOT NULL,
    purge_at    timestamptz NOT NULL,
    purged_at   timestamptz
);
CREATE INDEX broadcast_list_purge ON broadcast_list (purge_at) WHERE purged_at IS NULL;
CREATE TABLE broadcast_list_row (
    list       bigint NOT NULL REFERENCES broadcast_list,
    phone_hash bytea NOT NULL,                -- as citizen.phone_hash
    phone      bytea NOT NULL,                -- sealed, 84…
    PRIMARY KEY (list, phone_hash)
);
CREATE INDEX broadcast_list_row_phone ON broadcast_list_row (phone_hash);

-- Test recipients. Definitions name them by number, never by who they are: they are
-- hashed for approvals and kept with every run, and an erasure takes this row alone.
-- A number is given once, so that it never comes to mean somebody else.
CREATE TABLE broadcast_tester (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    oa_id   text COLLATE "C" NOT NULL,
    citizen text COLLATE "C" NOT NULL,
    UNIQUE (oa_id, citizen)
);

-- Short links. An owner's address has one code, so that a link written twice is one.
CREATE TABLE link (
    code       text COLLATE "C" PRIMARY KEY,
    owner_kind text COLLATE "C" NOT NULL,     -- 'broadcast'
    owner_id   bigint NOT NULL,
    url        text NOT NULL,
    made_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX link_owner ON link (owner_kind, owner_id, md5(url));

-- How often a link was opened, by local day: counts, never who.
CREATE TABLE link_click (
    code   text COLLATE "C" NOT NULL,
    day    date NOT NULL,
    clicks bigint NOT NULL,
    PRIMARY KEY (code, day)
) WITH (fillfactor = 50);

-- Articles on their way to all followers, one row a run of a broadcast of that
-- kind. Every step is committed before the next is taken, so that what was asked
-- of Zalo is known after a crash.
--
-- state: drafted (nothing is at Zalo), creating (a create or update was called),
-- created (Zalo works on it; token), ready (it stands at Zalo, id), sending (the
-- broadcast was called), then sent, failed, unknown (it may have gone out) or
-- cancelled.
CREATE TABLE article_run (
    run          bigint PRIMARY KEY,          -- from push_source
    broadcast    bigint NOT NULL,
    oa_id        text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN
        ('drafted', 'creating', 'created', 'ready', 'sending', 'sent', 'failed', 'unknown', 'cancelled')),
    at_zalo      bytea,                       -- digest of what Zalo was given last
    target       jsonb,                       -- whom it was called for
    token        text,
    article_id   text,
    message_id   text,
    code         integer,                     -- Zalo's, of the last refusal
    cause        text,                        -- why it waits, failed or is unknown; a word for texts
    tries        smallint NOT NULL DEFAULT 0, -- in this state
    due_at       timestamptz NOT NULL,        -- the next step is not taken before
    deadline     timestamptz,                 -- until which Zalo may work on it
    starts_at    timestamptz NOT NULL,        -- the broadcast is not called before
    latest_start timestamptz NOT NULL,
    made_at      timestamptz NOT NULL,
    called_at    timestamptz,                 -- when the broadcast was called
    ended_at     timestamptz
);
CREATE INDEX article_run_due ON article_run (due_at)
    WHERE state IN ('drafted', 'creating', 'created', 'ready', 'sending');
-- For the caps: what went out lately.
CREATE INDEX article_run_called ON article_run (oa_id, called_at) WHERE called_at IS NOT NULL;

-- Audiences are read in ranges of people.
CREATE INDEX consent_open ON consent (oa_id, purpose, citizen, given_at) WHERE withdrawn_at IS NULL;
