-- +goose Up

-- What staff send to many (bot/broadcast). definition is what an author writes and
-- an approval is bound to; personal data is not in it: an uploaded list stands in
-- tables of its own, sealed, and the definition names it.
CREATE TABLE broadcast (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    oa_id          text COLLATE "C" NOT NULL,
    authors        text[] COLLATE "C" NOT NULL CHECK (cardinality(authors) > 0), -- everybody who wrote at it, the first one first
    state          text COLLATE "C" NOT NULL
                   CHECK (state IN ('draft', 'submitted', 'approved', 'scheduled', 'running', 'paused', 'done', 'missed', 'cancelled')),
    version        bigint NOT NULL DEFAULT 1,       -- grows with every change
    definition     jsonb NOT NULL,
    corrects       bigint REFERENCES broadcast (id),
    note           text,                            -- why it was sent back, paused or missed
    approved_at    timestamptz,
    approved_until timestamptz,                     -- of a recurring one
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    UNIQUE (id, authors)
);
CREATE INDEX broadcast_waiting ON broadcast (id) WHERE state IN ('approved', 'scheduled', 'paused');

-- Approvals that stand; an edit deletes them, and the audit tells. That nobody
-- approves what they wrote at holds here: authors is the broadcast's own, by the
-- foreign key, and the approver is none of them.
CREATE TABLE broadcast_approval (
    broadcast  bigint NOT NULL,
    authors    text[] COLLATE "C" NOT NULL,
    approver   text COLLATE "C" NOT NULL,
    role       text COLLATE "C" NOT NULL,           -- in which they approved
    hash       bytea NOT NULL,                      -- of definition and uploaded list
    recipients bigint NOT NULL,                     -- of the plan they approved
    cost       bigint NOT NULL,                     -- đồng, of that plan
    at         timestamptz NOT NULL,
    PRIMARY KEY (broadcast, approver),
    FOREIGN KEY (broadcast, authors) REFERENCES broadcast (id, authors),
    CHECK (approver <> ALL (authors))
);

-- One row an occurrence: equal times of a broadcast are one run, whoever makes it.
-- Its number is the source of its copies in push.
CREATE TABLE broadcast_run (
    id                  bigint PRIMARY KEY DEFAULT nextval('push_source'),
    broadcast           bigint NOT NULL REFERENCES broadcast (id),
    oa_id               text COLLATE "C" NOT NULL,
    kind                text COLLATE "C" NOT NULL CHECK (kind IN ('personal', 'article')),
    class               smallint NOT NULL,          -- of push
    at                  timestamptz NOT NULL,
    latest_at           timestamptz NOT NULL,       -- not begun by then, it is missed
    state               text COLLATE "C" NOT NULL
                        CHECK (state IN ('scheduled', 'freezing', 'asking', 'running', 'paused', 'done', 'missed', 'cancelled')),
    definition          jsonb,                      -- as it was approved, from the launch on
    approved_recipients bigint,
    approved_cost       bigint,
    frozen_at           timestamptz,                -- the moment under which the audience is read
    cursor              text COLLATE "C" NOT NULL DEFAULT '', -- the last citizen looked at
    whole               boolean NOT NULL DEFAULT false, -- the audience is frozen to its end
    cleared             boolean NOT NULL DEFAULT false, -- count and cost are as approved, or an approver said go
    recipients          bigint,                     -- once whole
    cost                bigint,
    sweep               boolean NOT NULL DEFAULT false, -- it was ended early: what still waits of it is to be skipped
    cause               text,                       -- why it asks, is paused, was missed or cancelled
    started_at          timestamptz,
    ended_at            timestamptz,
    expires_at          timestamptz,
    UNIQUE (broadcast, at)
);
CREATE INDEX broadcast_run_sweep ON broadcast_run (id) WHERE sweep;
CREATE INDEX broadcast_run_live ON broadcast_run (state, at)
    WHERE state IN ('scheduled', 'freezing', 'asking', 'running', 'paused');
