from msgspec import structs

from service.agent import worst
from service.agent.conversation import attached
from service.agent.conversation.attached import Attached
from service.agent.cost import Prices
from service.agent.upstream.scripted import ScriptedModel, say
from telemetry.record import Attachment
from tests.harness.agent import QUESTION, FakeAsk, FakeGate, TurnHouse

PICTURE = Attached(
    fact=Attachment(type="image/png", bytes=9, sha256="ab" * 32), data="c2VjcmV0", tokens=4_784, name="a.png"
)
PAPER = Attached(
    fact=Attachment(type="application/pdf", bytes=7, sha256="cd" * 32),
    data="JVBERg==",
    tokens=7_000,
    name="p",
)
NAMELESS = structs.replace(PICTURE, name=None)
ASKED = structs.replace(QUESTION, attachments=(PICTURE, PAPER))


def test_files_are_shown_before_the_words():
    assert attached.asking("What is it?", (PICTURE, PAPER))["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "c2VjcmV0"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "p",
        },
        {"type": "text", "text": "What is it?"},
    ]


def test_without_files_the_words_stand_alone():
    assert attached.asking("Hi", ()) == attached.remembered("Hi", ()) == {"role": "user", "content": "Hi"}


def test_what_is_remembered_is_a_word_with_a_digest():
    content = attached.remembered("What is it?", (PICTURE, PAPER, NAMELESS))["content"]
    assert [block["text"] for block in content] == [
        f"[image a.png, image/png, sha256 {'ab' * 32}]",
        f"[document p, application/pdf, sha256 {'cd' * 32}]",
        f"[image, image/png, sha256 {'ab' * 32}]",
        "What is it?",
    ]


async def test_the_model_is_shown_them_once_and_the_record_knows_what_they_were():
    model = ScriptedModel(say("A cat."), say("Still a cat."))
    house = TurnHouse(model)
    await house.whole(FakeAsk(ASKED))
    again = structs.replace(QUESTION, continues=True)
    await house.whole(FakeAsk(again, turn_id="turn-2"))
    first, second = model.prompts
    assert [block["type"] for block in first.messages[-1]["content"]] == ["image", "document", "text"]
    assert "c2VjcmV0" not in str(second.messages)
    assert "a.png" in str(second.messages[0])
    assert house.records[0].opening.attachments == (PICTURE.fact, PAPER.fact)
    assert house.records[1].opening.attachments == ()


async def test_money_is_put_aside_for_what_they_show_and_not_for_their_bytes():
    needs = []
    for files in ((), (PICTURE,), (structs.replace(PICTURE, data="A" * 1_000_000),)):
        gate = FakeGate()
        await TurnHouse(ScriptedModel(say("A cat.")), gate=gate).whole(
            FakeAsk(structs.replace(QUESTION, attachments=files))
        )
        needs.append(gate.needs[0].tokens)
    bare, small, large = needs
    assert small == large
    assert PICTURE.tokens <= small - bare < PICTURE.tokens + 100


async def test_a_call_after_the_first_still_counts_them():
    model = ScriptedModel(say("A cat."))
    await TurnHouse(model).whole(FakeAsk(ASKED))
    (prompt,) = model.prompts
    grown = structs.replace(prompt, messages=(*prompt.messages, {"role": "assistant", "content": "Hm."}))
    assert worst.of_call(grown, Prices.load()).tokens > PICTURE.tokens + PAPER.tokens
