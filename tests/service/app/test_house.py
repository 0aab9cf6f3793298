"""The house, opened in this process: in which order it gets ready."""

from config import Secret, load
from service.app import open_house
from service.app.leaving import Leave

SLOW = """
import time
from service.agent.upstream.anthropic import AnthropicModel

class Slow(AnthropicModel):
    def warm(self):
        time.sleep(2)
        warmed.append(self)

warmed = []

def provide(settings, base_url):
    return Slow("any")
"""


async def test_once_it_is_open_the_model_may_be_asked_at_once(tmp_path, monkeypatch):
    provide(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    loaded = load({"AGENT_MODEL_PROVIDER": "slow", "AGENT_SINKS": "logs"}, None)
    async with open_house(loaded, Secret("r" * 32), None, Leave(1)):
        from slow import warmed

        assert len(warmed) == 1


def provide(site):
    """Install a provider that takes its time."""
    (site / "slow.py").write_text(SLOW)
    told = site / "slow-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[parley.models]\nslow = slow:provide\n")
