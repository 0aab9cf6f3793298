-- Money: what the events of a day or a month came to for a user, a role or all, and what is put aside.
-- All in micro-dollars. A row of the ledger is made when it is first asked for, from the events there are.

CREATE TABLE budget_ledger (
    -- user, role or total.
    scope TEXT COLLATE "C" NOT NULL,
    -- A user's random id, a role's name, or nothing.
    subject TEXT COLLATE "C" NOT NULL,
    -- 2026-11-27 or 2026-11, UTC.
    period TEXT COLLATE "C" NOT NULL,
    spent BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    -- The most spent of which was told.
    told BIGINT NOT NULL,
    PRIMARY KEY (scope, subject, period)
);

CREATE TABLE budget_reservation (
    -- The turn's id, or a chunk's.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The journal of the process that has it.
    writer TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    -- What its owner has given back of it in all.
    returned BIGINT NOT NULL,
    -- The ledger's keys that it is in, as JSON.
    accounts TEXT NOT NULL,
    -- held, or expired: then it is in spent, no longer in reserved.
    state TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX budget_reservation_expires_at ON budget_reservation (expires_at) WHERE state = 'held';
CREATE INDEX budget_reservation_writer ON budget_reservation (writer);
