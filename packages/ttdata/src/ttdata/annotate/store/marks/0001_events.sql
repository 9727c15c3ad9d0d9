-- What people did, for ever; all tables that follow from it can be built again from it.

CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,             -- milliseconds since 1970, UTC, by the server's clock
    person TEXT NOT NULL,            -- a pseudonym
    assignment TEXT,
    mark TEXT,
    base_revision INTEGER,
    kind TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

-- An insertion that replaces a row deletes it without the trigger above.
CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE seq = NEW.seq OR uuid = NEW.uuid)
BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;

-- The videos, and what the teacher brings along with them.

CREATE TABLE video (
    position INTEGER PRIMARY KEY,    -- in the order of adding
    video_id TEXT NOT NULL UNIQUE CHECK (video_id <> ''),
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    fps REAL NOT NULL CHECK (fps > 0),
    num_frames INTEGER NOT NULL CHECK (num_frames > 0),
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    frame_seconds BLOB,              -- float64, little endian; null where frame i is at i / fps
    player_id TEXT,
    session_id TEXT,
    golden INTEGER NOT NULL DEFAULT 0 CHECK (golden IN (0, 1))
) STRICT;

CREATE TABLE truth (
    truth_id INTEGER PRIMARY KEY,
    video_id TEXT NOT NULL REFERENCES video (video_id),
    start_frame INTEGER NOT NULL CHECK (start_frame >= 0),
    end_frame INTEGER NOT NULL CHECK (end_frame > start_frame),
    label TEXT NOT NULL,
    player_id TEXT
) STRICT;
CREATE INDEX truth_of_video ON truth (video_id);

CREATE TABLE proposal_set (
    set_id TEXT PRIMARY KEY,         -- SHA-256 of the file
    at INTEGER NOT NULL,
    file TEXT NOT NULL,
    format TEXT NOT NULL
) STRICT;

CREATE TABLE proposal (
    proposal_id INTEGER PRIMARY KEY,
    set_id TEXT NOT NULL REFERENCES proposal_set (set_id),
    video_id TEXT NOT NULL REFERENCES video (video_id),
    model TEXT NOT NULL,             -- what the file names as the annotator
    start_frame INTEGER NOT NULL CHECK (start_frame >= 0),
    end_frame INTEGER NOT NULL CHECK (end_frame > start_frame),
    label TEXT
) STRICT;
CREATE INDEX proposal_of_video ON proposal (video_id);

-- The projection: what the events amount to. Nothing else writes these tables.

CREATE TABLE assignment (
    assignment_id TEXT PRIMARY KEY,
    video_id TEXT NOT NULL REFERENCES video (video_id),
    person TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('annotate', 'training', 'import')),
    state TEXT NOT NULL CHECK (state IN ('open', 'done')),
    opened_seq INTEGER NOT NULL REFERENCES event (seq),
    done_seq INTEGER REFERENCES event (seq),
    times_reopened INTEGER NOT NULL,
    UNIQUE (video_id, person)
) STRICT;
CREATE INDEX assignment_of_person ON assignment (person);

CREATE TABLE mark (
    mark_id TEXT PRIMARY KEY,
    assignment_id TEXT NOT NULL REFERENCES assignment (assignment_id),
    revision INTEGER NOT NULL,
    start_frame INTEGER CHECK (start_frame >= 0),
    end_frame INTEGER CHECK (end_frame > start_frame),
    label TEXT,
    player_id TEXT,
    removed INTEGER NOT NULL CHECK (removed IN (0, 1))
) STRICT;
CREATE INDEX mark_of_assignment ON mark (assignment_id);

-- The steps that can be undone, or done again.
CREATE TABLE step (
    seq INTEGER PRIMARY KEY REFERENCES event (seq),
    assignment_id TEXT NOT NULL REFERENCES assignment (assignment_id),
    mark_id TEXT NOT NULL REFERENCES mark (mark_id),
    uuid TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    undone INTEGER NOT NULL CHECK (undone IN (0, 1))
) STRICT;
CREATE INDEX step_of_assignment ON step (assignment_id, seq);

-- Frames that were shown, as disjoint spans that do not touch.
CREATE TABLE seen (
    assignment_id TEXT NOT NULL REFERENCES assignment (assignment_id),
    start_frame INTEGER NOT NULL,
    end_frame INTEGER NOT NULL CHECK (end_frame > start_frame),
    PRIMARY KEY (assignment_id, start_frame)
) STRICT, WITHOUT ROWID;

-- What was answered to each event, for those who ask again.
CREATE TABLE answer (
    seq INTEGER PRIMARY KEY REFERENCES event (seq),
    body TEXT NOT NULL
) STRICT;

-- What leaves the project; `ttdata curate PROJECT` reads this view and the next one.

CREATE VIEW exported_mark AS
SELECT mark_id AS annotation_id, video_id, person AS annotator_id, start_frame, end_frame, label,
    mark.player_id
FROM mark JOIN assignment USING (assignment_id) JOIN video USING (video_id)
WHERE NOT removed AND state = 'done' AND NOT golden AND purpose IN ('annotate', 'import');

CREATE VIEW exported_video AS
SELECT video_id, path, fps, num_frames, width, height, player_id, session_id
FROM video
WHERE NOT golden AND video_id IN (
    SELECT video_id FROM assignment WHERE state = 'done' AND purpose IN ('annotate', 'import')
);

CREATE VIEW left_out (reason, marks) AS
SELECT 'of golden clips', count(*)
FROM mark JOIN assignment USING (assignment_id) JOIN video USING (video_id)
WHERE NOT removed AND golden
UNION ALL
SELECT 'of training', count(*)
FROM mark JOIN assignment USING (assignment_id) JOIN video USING (video_id)
WHERE NOT removed AND NOT golden AND purpose = 'training'
UNION ALL
SELECT 'of videos not yet done', count(*)
FROM mark JOIN assignment USING (assignment_id) JOIN video USING (video_id)
WHERE NOT removed AND NOT golden AND purpose <> 'training' AND state = 'open'
UNION ALL
SELECT 'proposed by models', count(*) FROM proposal;
