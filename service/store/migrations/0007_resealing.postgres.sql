-- What a master key seals itself may be sealed anew under another: bytes for bytes, nothing else of the row.

DROP TRIGGER audit_content_unchanged ON audit_content;
CREATE TRIGGER audit_content_unchanged BEFORE UPDATE ON audit_content FOR EACH ROW
WHEN (
    NEW.log_index IS DISTINCT FROM OLD.log_index OR NEW.subject_id IS DISTINCT FROM OLD.subject_id OR NOT (
        (NEW.query IS NULL AND NEW.sealed IS NULL AND NEW.salt IS NULL AND NEW.words IS NULL)
        OR (
            NEW.query IS NOT DISTINCT FROM OLD.query AND NEW.salt IS NOT DISTINCT FROM OLD.salt
            AND NEW.words IS NOT DISTINCT FROM OLD.words
            AND NEW.sealed IS NOT NULL AND OLD.sealed IS NOT NULL
        )
    )
)
EXECUTE FUNCTION parley_refuse();

DROP TRIGGER audit_quarantine_unchanged ON audit_quarantine;
CREATE TRIGGER audit_quarantine_unchanged BEFORE UPDATE ON audit_quarantine FOR EACH ROW
WHEN (NEW.id IS DISTINCT FROM OLD.id OR (NEW.raw IS NOT NULL AND OLD.raw IS NULL))
EXECUTE FUNCTION parley_refuse();
