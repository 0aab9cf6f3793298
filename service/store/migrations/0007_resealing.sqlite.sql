-- What a master key seals itself may be sealed anew under another: bytes for bytes, nothing else of the row.

DROP TRIGGER audit_content_unchanged;
CREATE TRIGGER audit_content_unchanged BEFORE UPDATE ON audit_content
WHEN NEW.log_index IS NOT OLD.log_index OR NEW.subject_id IS NOT OLD.subject_id OR NOT (
    (NEW.query IS NULL AND NEW.sealed IS NULL AND NEW.salt IS NULL)
    OR (NEW.query IS OLD.query AND NEW.salt IS OLD.salt AND NEW.sealed IS NOT NULL AND OLD.sealed IS NOT NULL)
)
BEGIN SELECT RAISE(ABORT, 'audit_content can only be erased'); END;

DROP TRIGGER audit_quarantine_unchanged;
CREATE TRIGGER audit_quarantine_unchanged BEFORE UPDATE ON audit_quarantine
WHEN NEW.id IS NOT OLD.id OR (NEW.raw IS NOT NULL AND OLD.raw IS NULL)
BEGIN SELECT RAISE(ABORT, 'audit_quarantine can only be erased'); END;
