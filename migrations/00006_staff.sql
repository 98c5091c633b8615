-- +goose Up

-- What operators change while the server runs (bot/setting). A name without a row
-- has its default.
CREATE TABLE setting (
    name       text COLLATE "C" PRIMARY KEY,
    value      text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

-- Offices, each below another (bot/staff): a role in one holds below it too.
CREATE TABLE agency (
    id       text COLLATE "C" PRIMARY KEY,
    name_vi  text NOT NULL,
    name_en  text NOT NULL,
    level    text COLLATE "C" NOT NULL CHECK (level IN ('province', 'department', 'commune')),
    unit     text COLLATE "C",                         -- code of the administrative unit it serves
    superior text COLLATE "C" REFERENCES agency (id)
);
CREATE INDEX agency_superior ON agency (superior);

-- People who work here (bot/staff).
CREATE TABLE staff (
    id         text COLLATE "C" PRIMARY KEY,
    agency     text COLLATE "C" NOT NULL REFERENCES agency (id), -- whose administrators look after the account
    name       bytea NOT NULL,                         -- sealed
    mail       bytea NOT NULL,                         -- sealed
    mail_hash  bytea NOT NULL UNIQUE,
    active     boolean NOT NULL DEFAULT true,          -- false once they have left; for good
    created_at timestamptz NOT NULL,
    locked_at  timestamptz,
    zalo_oa    text COLLATE "C",                       -- who they are as a citizen, for tests sent to oneself
    zalo_user  text COLLATE "C",
    CHECK ((zalo_oa IS NULL) = (zalo_user IS NULL))
);
CREATE INDEX staff_zalo ON staff (zalo_oa, zalo_user) WHERE zalo_oa IS NOT NULL;

-- Roles given, one row a giving. Rows stay when the role is withdrawn.
CREATE TABLE staff_role (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    staff        text COLLATE "C" NOT NULL REFERENCES staff (id),
    role         text COLLATE "C" NOT NULL
                 CHECK (role IN ('viewer', 'editor', 'approver', 'moderator', 'organiser', 'administrator')),
    agency       text COLLATE "C" NOT NULL REFERENCES agency (id),
    granted_by   text COLLATE "C" NOT NULL,
    seconded_by  text COLLATE "C",
    granted_at   timestamptz NOT NULL,
    withdrawn_by text COLLATE "C",
    withdrawn_at timestamptz
);
CREATE UNIQUE INDEX staff_role_held ON staff_role (staff, role, agency) WHERE withdrawn_at IS NULL;

-- Who did what (bot/staff). Rows are added only, each bound to the one before it
-- by its hash; the application's role may not change or delete them.
CREATE TABLE audit (
    seq    bigint NOT NULL,
    at     timestamptz NOT NULL,                       -- never before that of the row before
    actor  text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    agency text COLLATE "C" NOT NULL,
    result text COLLATE "C" NOT NULL,
    detail jsonb NOT NULL,                             -- never a resident's data
    ip     text,
    prev   bytea NOT NULL,                             -- hash of the row before
    hash   bytea NOT NULL,                             -- SHA-256 over this row and prev
    PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX audit_object ON audit (object, seq);

-- Partitions of a month each, made ahead and dropped by the owner's functions, so
-- that the application's role needs no right to create or drop tables.
-- +goose StatementBegin
CREATE FUNCTION make_audit_partitions(today date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    d date := (date_trunc('month', today::timestamp) - interval '1 month')::date;
    next date;
    name text;
BEGIN
    FOR i IN 0 .. 3 LOOP
        next := (d + interval '1 month')::date;
        name := 'audit_' || to_char(d, 'YYYYMM');
        BEGIN
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF audit FOR VALUES FROM (%L) TO (%L)',
                               name, d::text || ' 00:00+00', next::text || ' 00:00+00');
            END IF;
        EXCEPTION WHEN check_violation THEN
            NULL; -- rows of that month stand in the default partition already, and stay there
        END;
        d := next;
    END LOOP;
END $$;
-- +goose StatementEnd

-- Drops the months that ended before the given day, and tells how many. Whatever
-- day is given, and whatever the caller believes the time to be, a month that
-- ended less than twelve months ago stays.
-- +goose StatementBegin
CREATE FUNCTION drop_audit_partitions(before_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_from date := date_trunc('month', least(before_day, (now() AT TIME ZONE 'UTC' - interval '12 months')::date)::timestamp)::date;
    t record;
    dropped integer := 0;
BEGIN
    FOR t IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'audit'::regclass AND c.relname ~ '^audit_[0-9]{6}$'
               AND to_date(right(c.relname, 6), 'YYYYMM') < kept_from
    LOOP
        EXECUTE format('DROP TABLE %I', t.relname);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM audit_default WHERE at < kept_from::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END $$;
-- +goose StatementEnd

CREATE TABLE audit_default PARTITION OF audit DEFAULT;
SELECT make_audit_partitions((now() AT TIME ZONE 'UTC')::date);
