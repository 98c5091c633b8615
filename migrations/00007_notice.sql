-- +goose Up

-- What a person asked to be told: topics (bot/notice). The topics themselves stand
-- in the content, by their key.
CREATE TABLE notice_subscription (
    oa_id   text COLLATE "C" NOT NULL,
    citizen text COLLATE "C" NOT NULL,
    topic   text COLLATE "C" NOT NULL,
    since   timestamptz NOT NULL,
    PRIMARY KEY (oa_id, citizen, topic)
);
-- Whom a topic reaches, slice by slice.
CREATE INDEX notice_subscription_topic ON notice_subscription (topic, oa_id, citizen);

-- The communes a person wants to hear of, by today's code.
CREATE TABLE notice_area (
    oa_id   text COLLATE "C" NOT NULL,
    citizen text COLLATE "C" NOT NULL,
    code    text COLLATE "C" NOT NULL,
    since   timestamptz NOT NULL,
    PRIMARY KEY (oa_id, citizen, code)
);
CREATE INDEX notice_area_code ON notice_area (code, oa_id, citizen);
