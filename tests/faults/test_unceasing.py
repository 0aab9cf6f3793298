"""Turns that never pause: checkpoints are made all the same, and what dead writers left is brought in."""

from tests.faults.lives import Lives, up
from tests.harness.waiting import PATIENCE, wait


def test_checkpoints_and_estates_wait_for_no_pause(tmp_path):
    lives = Lives(tmp_path, f"sqlite:///{tmp_path}/var/parley.db", seed=1)
    lives.live("random")
    process = lives.start()
    try:
        up(process)
        checkpoints = lambda: sum('"audit_checkpoint"' in line for line in list(process.stdout))  # noqa: E731
        wait(lambda: checkpoints() >= 4, PATIENCE * 3, seen=lambda: process.said()[-3000:])
        assert len(lives.folders()) == 1
        assert process.stop() == 0
    finally:
        lives.end(process)
