import pytest
from msgspec import structs

from service.agent.choice import Choice
from service.agent.upstream.scripted import ScriptedModel, say
from service.errors import Forbidden, UpstreamOverloaded
from telemetry.failure import Category, Code
from telemetry.record import Outcome
from tests.harness.agent import CALLER, QUESTION, FakeAsk, TurnHouse

MODELS = {"GUEST": ("small",), "CFO": ("small", "large", "usual")}
OVERLOADED = UpstreamOverloaded("busy", status=529, retry_after_ms=0)


@pytest.mark.parametrize(
    ("role", "wanted", "model"),
    [
        ("ANY", "", "usual"),
        ("ANY", "large", "large"),
        ("GUEST", "", "small"),
        ("GUEST", "large", "large"),
        ("CFO", "", "usual"),
        ("CFO", "large", "large"),
    ],
)
def test_the_model_that_is_asked(role, wanted, model):
    assert Choice("usual", lambda: MODELS).preferred(role, wanted) == model


@pytest.mark.parametrize(("role", "model"), [("ANY", "x"), ("GUEST", "small"), ("CFO", "large")])
def test_a_model_that_may_be_asked(role, model):
    choice = Choice("usual", lambda: MODELS)
    choice.require(role, model)
    assert choice.allows(role, model)


def test_a_model_that_may_not_is_named_by_its_field_with_those_that_may():
    with pytest.raises(Forbidden) as raised:
        Choice("usual", lambda: MODELS).require("GUEST", "large")
    assert [(each.field, each.message) for each in raised.value.fields] == [
        ("model", "Expected one of small for the role GUEST")
    ]


def test_what_the_settings_say_now_holds():
    models = {"GUEST": ("small",)}
    choice = Choice("usual", lambda: models)
    assert not choice.allows("GUEST", "usual")
    del models["GUEST"]
    assert choice.allows("GUEST", "usual")


def house(model, *mine, fallbacks=()):
    turned = TurnHouse(model, fallbacks=fallbacks)
    choice = Choice(QUESTION.model, lambda: {CALLER.role: mine})
    return turned.equip(choice=choice)


async def test_a_turn_with_another_model_is_refused_and_recorded_with_its_question():
    model = ScriptedModel()
    _, record = await house(model, "claude-haiku-5-5").whole()
    assert (record.outcome, record.failure.code) == (Outcome.REFUSED, Code.FORBIDDEN)
    assert record.failure.category is Category.AUTHORIZATION
    assert (record.opening.model, record.opening.query) == (QUESTION.model, QUESTION.message)
    assert model.prompts == []


async def test_a_turn_that_names_none_asks_the_roles_first():
    model = ScriptedModel(say("Hi"))
    ask = FakeAsk(structs.replace(QUESTION, model=""))
    _, record = await house(model, "claude-haiku-5-5").whole(ask)
    assert record.outcome is Outcome.ANSWERED
    assert (record.opening.model, model.prompts[0].model) == ("claude-haiku-5-5", "claude-haiku-5-5")


async def test_only_models_of_the_role_stand_in():
    model = ScriptedModel(*[[OVERLOADED]] * 3, say("Hi"))
    others = ("claude-haiku-5-5", "claude-opus-5-5")
    turned = house(model, QUESTION.model, "claude-opus-5-5", fallbacks=others)
    _, record = await turned.whole()
    assert [call.model for call in record.model_calls] == [QUESTION.model, "claude-opus-5-5"]
