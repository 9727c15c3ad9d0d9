-- Who takes part. Marks know pseudonyms only; what names a person can be erased here.

CREATE TABLE person (
    pseudonym TEXT PRIMARY KEY CHECK (pseudonym <> ''),
    role TEXT NOT NULL CHECK (role IN ('annotator', 'reviewer', 'teacher')),
    name TEXT,
    password TEXT,                   -- salt and scrypt hash; null: comes by invitation only
    created_at INTEGER NOT NULL,     -- milliseconds since 1970, UTC
    erased_at INTEGER
) STRICT;

CREATE TABLE invitation (
    token_hash TEXT PRIMARY KEY,     -- SHA-256
    pseudonym TEXT NOT NULL REFERENCES person (pseudonym),
    created_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE TABLE session (
    token_hash TEXT PRIMARY KEY,     -- SHA-256
    pseudonym TEXT NOT NULL REFERENCES person (pseudonym),
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_of_person ON session (pseudonym);
