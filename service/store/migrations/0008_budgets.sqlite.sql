-- Money: what the events of a day or a month came to for a user, a role or all, and what is put aside.
-- All in micro-dollars. A row of the ledger is made when it is first asked for, from the events there are.

CREATE TABLE budget_ledger (
    -- user, role or total.
    scope TEXT NOT NULL,
    -- A user's random id, a role's name, or nothing.
    subject TEXT NOT NULL,
    -- 2026-11-27 or 2026-11, UTC.
    period TEXT NOT NULL,
    spent INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    -- The most spent of which was told.
    told INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, period)
);

CREATE TABLE budget_reservation (
    -- The turn's id, or a chunk's.
    id TEXT NOT NULL PRIMARY KEY,
    -- The journal of the process that has it.
    writer TEXT NOT NULL,
    amount INTEGER NOT NULL,
    -- What its owner has given back of it in all.
    returned INTEGER NOT NULL,
    -- The ledger's keys that it is in, as JSON.
    accounts TEXT NOT NULL,
    -- held, or expired: then it is in spent, no longer in reserved.
    state TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE INDEX budget_reservation_expires_at ON budget_reservation (expires_at) WHERE state = 'held';
CREATE INDEX budget_reservation_writer ON budget_reservation (writer);
