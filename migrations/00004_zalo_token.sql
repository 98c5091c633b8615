-- +goose Up

-- The chain of tokens of one account under one app (integrations/zalo). Refresh
-- tokens work once, so every step leaves its mark here before it is taken.
CREATE TABLE zalo_token (
    app_id        text COLLATE "C" NOT NULL,
    oa_id         text COLLATE "C" NOT NULL,
    seed_hash     bytea NOT NULL,             -- keyed hash of the ZALO_REFRESH_TOKEN that opened the chain
    spent_seeds   bytea[] NOT NULL DEFAULT '{}', -- seeds that opened earlier chains and were used up
    generation    bigint NOT NULL DEFAULT 0,  -- grows with every pair stored
    access_token  bytea,                      -- sealed; NULL before the chain's first refresh
    refresh_token bytea NOT NULL,             -- sealed
    refreshed_at  timestamptz,
    expires_at    timestamptz,                -- of the access token
    -- Committed before a refresh is asked for and cleared with its outcome: what
    -- is left of a refresh whose outcome nobody stored.
    intent_at     timestamptz,
    intent_by     text COLLATE "C",
    dead_at       timestamptz,                -- Zalo refused the grant; a new seed revives it
    dead_code     integer,
    dead_name     text,
    PRIMARY KEY (app_id, oa_id)
);
