-- Golden clips that people practise on, with the truth shown; nobody is scored on them unawares.
ALTER TABLE video ADD COLUMN training INTEGER NOT NULL DEFAULT 0 CHECK (training IN (0, 1));

-- Of the golden clips of an earlier release every third, of those that nobody was given unawares.
UPDATE video SET training = 1 WHERE video_id IN (
    SELECT video_id FROM (
        SELECT video_id, row_number() OVER (ORDER BY position) AS number FROM video
        WHERE golden AND video_id NOT IN (SELECT video_id FROM assignment)
    ) WHERE number % 3 = 2
);

-- Reference strokes: the three moments of a mark. A projection of events, as the marks are.
CREATE TABLE reference (
    mark_id TEXT PRIMARY KEY REFERENCES mark (mark_id),
    ready_frame INTEGER NOT NULL CHECK (ready_frame >= 0),
    contact_frame INTEGER NOT NULL CHECK (contact_frame > ready_frame),
    end_frame INTEGER NOT NULL CHECK (end_frame > contact_frame),
    person TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES event (seq)
) STRICT;

-- A mark that was changed since, so that a moment lies outside it, is no reference any more.
CREATE VIEW exported_reference AS
SELECT exported_mark.annotation_id, exported_mark.video_id, exported_mark.start_frame,
    exported_mark.end_frame, exported_mark.label, reference.ready_frame AS ready,
    reference.contact_frame AS contact, reference.end_frame AS "end", reference.person
FROM reference JOIN exported_mark ON exported_mark.annotation_id = reference.mark_id
WHERE reference.ready_frame >= exported_mark.start_frame
    AND reference.end_frame < exported_mark.end_frame;
