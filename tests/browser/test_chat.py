"""The chat page in a real browser: answers that grow, tools as they run, stop, refusals, conversations."""

import re

from playwright.sync_api import expect

SOME = re.compile(r"\w[\s\S]{5}")
"""Some words."""
LIMIT = "Rate limit exceeded. You can send up to 1 requests per minute. Please wait a moment and try again."


def test_an_answer_grows_on_the_page_with_its_tool_and_ends_with_its_figures(visiting):
    with visiting("grows") as visit:
        page = visit.open()
        visit.ask("What is 12*7? [sim:tool][sim:slow:60]")
        expect(page.locator(".step.started, .step.finished")).to_be_visible()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        expect(page.locator(".prose").last).to_contain_text(SOME)
        early = page.locator(".prose").inner_text()
        visit.answered()
        whole = page.locator(".prose").inner_text()
        assert whole.startswith(early.rstrip())
        assert len(whole) > len(early)
        assert whole.startswith("calculate returned 84.")
        expect(page.locator(".step.finished code")).to_have_text("calculate")
        figures = page.locator(".figures").inner_text()
        for word in ("Model", "claude-sonnet-5-5", "Time", "In", "tokens", "Out", "Cost", "$0.00", "Trace"):
            assert word in figures
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_the_trace_leads_to_jaeger_and_the_figures_are_the_turns_own(visiting):
    with visiting("figures") as visit:
        page = visit.open()
        visit.ask("Hello")
        visit.answered()
        (row,) = visit.service.wait_for_rows(actorId="figures")
        link = page.locator(".figures a.id")
        assert link.get_attribute("href") == f"http://jaeger.invalid/trace/{row['traceId']}"
        assert link.get_attribute("rel") == "noreferrer"
        figures = page.locator(".figures").inner_text()
        usage = row["metadata"]["usage"]
        assert f"{usage['inputTokens']:,} tokens" in figures
        assert f"{usage['outputTokens']:,} tokens" in figures
        assert f"${row['metadata']['cost']:.6f}" in figures


def test_three_tools_are_three_steps(visiting):
    with visiting("three") as visit:
        page = visit.open()
        visit.ask("Go [sim:tools3]")
        visit.answered()
        expect(page.locator(".step")).to_have_count(3)
        assert all(each.endswith("ms") for each in page.locator(".took").all_inner_texts())


def test_what_the_model_thinks_is_shown_where_it_was_asked_for(visiting):
    with visiting("thinks") as visit:
        page = visit.open()
        visit.ask("Hello")
        visit.answered()
        expect(page.locator(".thinking")).to_have_count(0)
        page.get_by_label("Show thinking").check()
        visit.ask("And again")
        visit.answered(2)
        expect(page.locator(".thinking .prose")).to_contain_text("The question is: And again")


def test_the_model_that_was_chosen_is_asked(visiting):
    with visiting("chooses") as visit:
        page = visit.open()
        page.get_by_label("Model").select_option("claude-haiku-5-5")
        visit.ask("Hello")
        visit.answered()
        expect(page.locator(".figures")).to_contain_text("claude-haiku-5-5")


def test_a_stop_ends_the_turn_at_both_ends_and_the_question_can_be_asked_again(visiting):
    with visiting("stops") as visit:
        page = visit.open()
        visit.ask("Slowly [sim:slow:200]")
        expect(page.locator(".prose").last).to_contain_text(SOME)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".notice")).to_contain_text("Stopped.")
        visit.service.wait_for_rows(actorId="stops", outcome="client_gone")
        assert page.evaluate("location.hash") == ""
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".question").last).to_contain_text("So far you had written:")
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Ask again").first.click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()


def test_a_refusal_is_told_in_the_contracts_words_and_counts_down(visiting, start_visited):
    service = start_visited(AGENT_RATE_LIMIT_ROLES="GUEST=1", AGENT_RATE_LIMIT_WINDOW_MS="6000")
    words = LIMIT.replace("per minute", "per 6 seconds")
    with visiting("guest", "GUEST", service=service, expected=[429]) as visit:
        page = visit.open()
        expect(page.locator("#left")).to_have_text("1 of 1 left")
        visit.ask("Hello")
        visit.answered()
        expect(page.locator("#left")).to_have_text("0 of 1 left")
        visit.ask("Too soon")
        expect(page.locator(".notice .error")).to_have_text(words)
        shown = page.locator(".countdown")
        expect(shown).to_have_text(re.compile(r"You can ask again in [1-6] s\."))
        expect(page.get_by_role("button", name=re.compile("Send in"))).to_be_disabled()
        expect(page.get_by_role("button", name="Try again")).to_be_disabled()
        expect(shown).to_have_text("You can ask again now.")
        page.get_by_role("button", name="Try again").click()
        visit.answered(2)
        assert len(service.wait_for_rows(2, actorId="guest", outcome="answered")) == 2


def test_a_budget_that_is_used_up_is_told_and_what_is_left_is_shown(visiting, start_visited):
    service = start_visited(AGENT_BUDGET_USER_DAY_USD="0.000001")
    with visiting("poor", service=service, expected=[402]) as visit:
        page = visit.open()
        expect(page.locator("#left")).to_contain_text("$0.000001 left")
        visit.ask("Hello")
        expect(page.locator(".notice .error")).to_have_text(
            "Your budget is used up. Please contact your administrator."
        )
        page.locator("#standing summary").click()
        expect(page.locator("#allowances")).to_contain_text("Budget: yours, day")


def test_an_error_in_the_middle_keeps_what_was_said(visiting):
    with visiting("middle") as visit:
        page = visit.open()
        visit.ask("Go [sim:error-event]")
        expect(page.locator(".notice .error")).to_have_text(
            "AI service error. Please try rephrasing your question or try again later."
        )
        assert page.locator(".prose").inner_text()
        expect(page.get_by_role("button", name="Continue")).to_be_visible()


def test_a_service_that_is_gone_is_a_network_error(visiting, start_visited):
    service = start_visited()
    with visiting("alone", service=service) as visit:
        page = visit.open()
        visit.ask("Slowly [sim:slow:300]")
        expect(page.locator(".prose").last).to_contain_text(SOME)
        visit.away = True  # the browser says so too, each time nothing answers
        service.kill()
        expect(page.locator(".notice .error")).to_have_text(
            "Network error. Please check your connection and try again."
        )


def test_a_session_that_ended_leads_back_to_the_sign_in(visiting):
    with visiting("leaves", expected=[401]) as visit:
        page = visit.open()
        visit.context.clear_cookies()
        visit.ask("Hello")
        expect(page.locator(".notice .error")).to_have_text(
            "Your session has expired. Please refresh the page and log in again."
        )
        page.get_by_role("link", name="Sign in").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_conversations_are_listed_and_opened(visiting):
    with visiting("lists") as visit:
        page = visit.open()
        expect(page.get_by_text("None yet")).to_be_visible()
        visit.ask("First question")
        visit.answered()
        page.get_by_role("button", name="New conversation").click()
        expect(page.get_by_text("What would you like to know?")).to_be_visible()
        visit.ask("Second question")
        visit.answered()
        links = page.locator(".conversations a")
        expect(links).to_have_count(2)
        expect(links.first).to_have_attribute("aria-current", "true")
        links.last.click()
        expect(page.locator("#title")).to_have_text("First question")
        expect(page.locator(".question")).to_contain_text("First question")


def test_a_conversation_is_renamed_and_deleted_once_it_was_confirmed(visiting):
    with visiting("renames") as visit:
        page = visit.open()
        visit.ask("A question")
        visit.answered()
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Title").fill("Sums")
        page.get_by_label("Title").press("Enter")
        expect(page.locator("#title")).to_have_text("Sums")
        links = page.locator(".conversations a")
        expect(links.locator(".name")).to_have_text("Sums")
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_contain_text("Delete “Sums”?")
        page.get_by_role("button", name="Cancel").click()
        expect(links).to_have_count(1)
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(links).to_have_count(0)
        expect(page.locator("#title")).to_have_text("New conversation")


def test_a_conversation_goes_on_after_a_reload_and_while_another_is_read(visiting):
    with visiting("goes-on") as visit:
        page = visit.open()
        visit.ask("One")
        visit.answered()
        page.reload(wait_until="networkidle")
        expect(page.locator(".question")).to_have_count(1)
        visit.ask("Two [sim:slow:150]")
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        page.get_by_role("button", name="New conversation").click()
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        page.locator(".conversations a").first.click()
        visit.answered(2)
        found = visit.service.sql("SELECT id FROM conversation WHERE user_id = ?", ["goes-on"])
        assert [f"#{each['id']}" for each in found] == [page.evaluate("location.hash")]


def test_a_turn_is_rated_with_a_word_and_the_rating_is_taken_back(visiting):
    with visiting("rates") as visit:
        page = visit.open()
        visit.ask("Hello")
        visit.answered()
        up = page.get_by_role("button", name="Good answer")
        up.click()
        expect(up).to_have_attribute("aria-pressed", "true")
        page.get_by_label("Comment on the answer").fill("Right.")
        page.get_by_label("Comment on the answer").press("Enter")
        expect(page.locator(".rated")).to_have_text("Thank you.")
        assert [each["rating"] for each in visit.service.sql("SELECT * FROM feedback")] == ["up"]
        up.click()
        expect(up).to_have_attribute("aria-pressed", "false")
        assert visit.service.sql("SELECT * FROM feedback") == []


def test_without_streams_the_answer_comes_whole(visiting, start_visited):
    with visiting("whole", service=start_visited(AGENT_STREAMING_ENABLED="false")) as visit:
        page = visit.open()
        visit.ask("What is 12*7?")
        visit.answered()
        expect(page.locator(".prose")).to_contain_text("84")
