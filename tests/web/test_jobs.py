"""Pages of jobs, proposals, reports and blocks without script, and the API: every address for every role."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import pytest
from sqlalchemy import update

from app.config import Settings
from app.domain.blocks import ReportStep, Subject
from app.services import accounts, blocks, job_invitations, jobs, proposals
from app.services.access import Actor
from app.services.accounts import SESSION_COOKIE
from app.services.clock import ManualClock
from app.services.proposals import NewProposal
from app.storage import tables
from app.storage.writer import Tx
from app.web import job_schemas, openapi
from tests.live import Live, live_server
from tests.services.test_jobs import FORM

NOW = 1_790_000_000_000
HTML = {"accept": "text/html"}
PEOPLE = ("stranger", "invited", "client", "proposer", "blocked", "operator")


@pytest.fixture(scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    settings = Settings(data=tmp_path_factory.mktemp("jobs") / "data", port=0, origin="test.example")
    async with live_server(settings, ManualClock(NOW)) as running:
        yield running


@dataclass(frozen=True)
class Fair:
    """A job that is for the invited only, with one proposal, and everybody who may come across it."""

    live: Live
    people: dict[str, Actor]
    job: str
    proposal: str
    report: str

    @asynccontextmanager
    async def browsing(self, who: str | None) -> AsyncIterator[httpx.AsyncClient]:
        """A browser without script, signed in as somebody."""
        cookies = {}
        if who is not None:
            link = await accounts.new_link(self.live.resources, self.people[who])
            async with httpx.AsyncClient(base_url=self.live.url, headers=HTML) as client:
                cookies[SESSION_COOKIE] = (await client.post(f"/link/{link.rpartition('/')[2]}")).cookies[
                    SESSION_COOKIE
                ]
        async with httpx.AsyncClient(base_url=self.live.url, cookies=cookies, headers=HTML) as client:
            yield client


_made = 0


@pytest.fixture
async def fair(live: Live) -> Fair:
    global _made  # noqa: PLW0603 - every test has people of its own on the one server of the module
    _made += 1
    resources, people = live.resources, {}
    for name in PEOPLE:
        people[name] = await accounts.create_account(resources, f"{name}{_made}@example.org", name.title())
    job = await jobs.post_job(resources, people["client"], jobs.offer_of(resources, {**FORM, "visible_to": "invited"}))
    for name in ("invited", "proposer", "blocked"):
        await job_invitations.invite_to_job(resources, people["client"], job, people[name].email)
    typed = NewProposal(text="I have built **two** of these.", amount="48", soon="week", version=1)
    proposal = await proposals.send_proposal(resources, people["proposer"], job, typed)
    report = await blocks.report(resources, people["invited"], Subject.JOB, job, "spam", "Everywhere")
    await blocks.block_account(resources, people["client"], people["blocked"].account)
    return Fair(live, people, job, proposal, report)


# Who sees what: a walk over everything

SEEN_BY = {
    "/jobs/JOB": {"invited": 200, "client": 200, "proposer": 200},
    "/jobs/JOB?version=1": {"invited": 200, "client": 200, "proposer": 200},
    "/jobs/JOB?version=2": {},
    "/jobs/JOB/edit": {"client": 200},
    "/jobs/JOB/proposals": {"client": 200},
    "/report/job/JOB": {"invited": 200, "proposer": 200},
    "/report/proposal/PROPOSAL": {"client": 200},
    "/report/account/CLIENT": {},
    "/report/nonsense/JOB": {},
    "/operator/reports": {},
    "/jobs": dict.fromkeys(PEOPLE, 200),
    "/jobs?view=mine": dict.fromkeys(PEOPLE, 200),
    "/jobs?view=invited&q=%00&page=99999&pay=x": dict.fromkeys(PEOPLE, 200),
    "/jobs/new": dict.fromkeys(PEOPLE, 200),
    "/start": dict.fromkeys(PEOPLE, 200),
    "/reports": dict.fromkeys(PEOPLE, 200),
}
MAY_POST = {
    "/jobs/JOB/proposals": {"invited": 422, "proposer": 422, "client": 422},
    "/jobs/JOB/edit": {"client": 422},
    "/jobs/JOB/invitations": {"client": 422},
    "/proposals/PROPOSAL/withdraw": {"proposer": 303},
    "/proposals/PROPOSAL/decline": {"client": 303},
    "/proposals/PROPOSAL/open": {"client": 303},
    "/jobs/JOB/close": {"client": 303},
    "/report/job/JOB": {"invited": 422, "proposer": 422},
    "/report/proposal/PROPOSAL": {"client": 422},
    "/operator/reports/REPORT/dismiss": {},
    "/operator/reports/REPORT/hide": {},
    "/operator/reports/REPORT/nonsense": {},
}


def address(fair: Fair, path: str) -> str:
    named = {"JOB": fair.job, "PROPOSAL": fair.proposal, "REPORT": fair.report}
    named["CLIENT"] = fair.people["client"].account
    for name, value in named.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize("who", ["stranger", "invited", "client", "proposer", "blocked"])
async def test_who_sees_what(fair: Fair, who: str) -> None:
    async with fair.browsing(who) as browser:
        for path, seen in SEEN_BY.items():
            answer = await browser.get(address(fair, path))
            assert answer.status_code == seen.get(who, 404), (who, path)
            if answer.status_code == 404:
                assert "There is nothing here that you may see" in answer.text
                assert "Harbour booking site" not in answer.text, (who, path)
        listed = (await browser.get("/jobs")).text
        assert (fair.job in listed) == (who in ("invited", "client", "proposer"))


@pytest.mark.parametrize("path", list(MAY_POST))
async def test_who_may_do_what(fair: Fair, path: str) -> None:
    for who in ("stranger", "blocked", "invited", "proposer", "client"):
        async with fair.browsing(who) as browser:
            answer = await browser.post(address(fair, path), data={})
            assert answer.status_code == MAY_POST[path].get(who, 404), (who, path)


async def test_who_is_not_signed_in_signs_in_first(fair: Fair) -> None:
    async with fair.browsing(None) as browser:
        for path in SEEN_BY:
            answer = await browser.get(address(fair, path))
            assert (answer.status_code, answer.headers["location"][:14]) == (303, "/sign-in?next="), path


async def test_the_operator_hides_what_was_reported_and_shows_it_again(live: Live, fair: Fair) -> None:
    async with fair.browsing("operator") as browser:
        for path in ("/operator/reports", f"/jobs/{fair.job}"):
            assert (await browser.get(path)).status_code == 404
    operator = await accounts.create_account(live.resources, f"olga{fair.job}@example.org", "Olga", operator=True)
    fair.people["olga"] = operator

    async def set_up_a_second_factor(tx: Tx) -> None:
        await tx.conn.execute(
            update(tables.accounts).where(tables.accounts.c.id == operator.account).values(factor_at=1)
        )

    async with fair.browsing("olga") as browser:
        await live.resources.database.writer.run(set_up_a_second_factor)
        waiting = (await browser.get("/operator/reports")).text
        assert "Invited reported the job of <b>Client</b>" in waiting and "Everywhere" in waiting
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 200
        hide = f"/operator/reports/{fair.report}/hide"
        refused = await browser.post(hide, data={"answer": ""})
        assert refused.status_code == 422 and "Say why: its author reads it" in refused.text
        assert (await browser.post(hide, data={"answer": "Advertising"})).status_code == 303
        again = await browser.post(hide, data={"answer": "Kept words"})
        assert again.status_code == 409 and "hidden already" in again.text and 'value="Kept words"' in again.text
    async with fair.browsing("client") as browser:
        shown = (await browser.get(f"/jobs/{fair.job}")).text
        assert "The operator has hidden this job: Advertising" in shown
        late = await browser.post(f"/proposals/{fair.proposal}/open", data={"job": fair.job})
        assert late.status_code == 409 and "The operator has hidden this job" in late.text
    async with fair.browsing("proposer") as browser:
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 404
    async with fair.browsing("invited") as browser:
        assert "It was hidden from everybody but its author. “Advertising”" in (await browser.get("/reports")).text
    await blocks.answer_report(live.resources, operator, fair.report, ReportStep.DISMISS, "A mistake")
    async with fair.browsing("proposer") as browser:
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 200


async def test_what_waits_stands_on_the_first_page(fair: Fair) -> None:
    async with fair.browsing("client") as browser:
        assert "1 proposal for Harbour booking site" in (await browser.get("/")).text
    async with fair.browsing("invited") as browser:
        assert "Client invites you to propose for Harbour booking site" in (await browser.get("/")).text
    for who in ("stranger", "blocked", "proposer"):
        async with fair.browsing(who) as browser:
            assert "Harbour booking site" not in (await browser.get("/")).text


# A job from posting to its workroom, by plain forms


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the first form in the page's main part that posts."""
    form = re.search(r'<form [^>]*method="post".*?</form>', page.split("<main", 1)[1], re.DOTALL)
    assert form is not None
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form.group()))


async def test_a_job_is_previewed_posted_answered_and_opened_without_script(fair: Fair) -> None:
    async with fair.browsing("client") as client:
        form = {
            **FORM,
            **hidden((await client.get("/jobs/new")).text),
            "description": "Berths & <b>boats</b>, **soon**",
        }
        preview = await client.post("/jobs/new", data={**form, "act": "preview"})
        assert preview.status_code == 200 and "Nothing is posted yet" in preview.text
        assert "<strong>soon</strong>" in preview.text and "<b>boats" not in preview.text.split("<main", 1)[1]
        carried = {name: html.unescape(value) for name, value in hidden(preview.text).items()}
        assert carried == {**form, "budget": ""}
        again = await client.post("/jobs/new", data={**carried, "act": "edit"})
        assert "Berths &amp; &lt;b&gt;boats" in again.text and 'value="55.50"' in again.text
        posted = [await client.post("/jobs/new", data={**carried, "act": "post"}) for _ in range(2)]
        assert [answer.headers["location"] for answer in posted] == [f"/jobs/{form['job']}?done=posted"] * 2
    job = form["job"]
    async with fair.browsing("stranger") as freelancer:
        page = await freelancer.get(f"/jobs/{job}")
        assert "20 proposals left today" in page.text and "€40 to €55.50 an hour" in page.text
        typed = {"text": "I can", "amount": "48,50", "soon": "month", "version": "1"}
        refused = await freelancer.post(f"/jobs/{job}/proposals", data=typed)
        assert refused.status_code == 422 and 'value="48,50"' in refused.text and ">\nI can</textarea>" in refused.text
        assert 'aria-invalid="true" aria-describedby="e-amount' in refused.text
        assert '<option value="month" selected>' in refused.text
        sent = await freelancer.post(f"/jobs/{job}/proposals", data={**typed, "amount": "48.50"})
        assert sent.headers["location"] == f"/jobs/{job}?done=sent"
        assert "€48.50 an hour" in (await freelancer.get(f"/jobs/{job}")).text
    async with fair.browsing("client") as client:
        listed = (await client.get(f"/jobs/{job}/proposals")).text
        [proposal] = re.findall(r'action="/proposals/(\w+)/open"', listed)
        opened = [await client.post(f"/proposals/{proposal}/open", data={"job": job}) for _ in range(2)]
        assert opened[0].status_code == 303 and opened[0].headers["location"] == opened[1].headers["location"]
        assert (await client.get(opened[0].headers["location"])).status_code == 200
    async with fair.browsing("stranger") as freelancer:
        assert opened[0].headers["location"] in (await freelancer.get(f"/jobs/{job}")).text
        late = await freelancer.post(f"/proposals/{proposal}/withdraw", data={"job": job})
        assert late.status_code == 409 and "Go on in its workroom" in late.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("title", "", "A title has 1 to 120 characters"),
        ("description", " ", "Say what is to be done"),
        ("low", "4O", "This is no amount"),
        ("high", "39", "below the lowest"),
        ("weekly_hours", "99", "from 1 to 80"),
        ("start_on", "2020-01-01", "This day is over"),
        ("time_zone", "Mars/Base", "is no time zone"),
        ("skills", "a,b,c,d,e,f,g,h,i,j,k", "10 skills at most"),
        ("currency", "EURO", "no such currency"),
        ("visible_to", "nobody", "Choose who sees the job"),
    ],
)
async def test_a_refused_job_comes_back_with_everything_that_was_typed(
    fair: Fair, field: str, value: str, sentence: str
) -> None:
    typed = {**FORM, "title": "A title that stays", "skills": "kept", "job": "0" * 26, field: value}
    async with fair.browsing("client") as browser:
        answer = await browser.post("/jobs/new", data={**typed, "act": "preview"})
    assert answer.status_code == 422 and sentence in answer.text
    if field != "title":
        assert 'value="A title that stays"' in answer.text
    if field not in ("currency", "visible_to"):
        assert f'id="e-{field}"' in answer.text and f'aria-describedby="e-{field}' in answer.text


async def test_an_edit_of_an_old_version_comes_back_and_is_saved_the_second_time(fair: Fair) -> None:
    async with fair.browsing("client") as browser:
        first = {**FORM, "visible_to": "invited", "version": "1", "act": "post"}
        assert (await browser.post(f"/jobs/{fair.job}/edit", data={**first, "title": "One"})).status_code == 303
        lost = await browser.post(f"/jobs/{fair.job}/edit", data={**first, "title": "Two"})
        assert lost.status_code == 409 and "another window" in lost.text and 'value="Two"' in lost.text
        again = {**first, "title": "Two", "version": hidden(lost.text)["version"]}
        assert (await browser.post(f"/jobs/{fair.job}/edit", data=again)).status_code == 303
        shown = (await browser.get(f"/jobs/{fair.job}")).text
    assert "<h1>Two</h1>" in shown and "· edited " in shown


async def test_who_proposed_reads_the_version_that_the_proposal_answered(fair: Fair) -> None:
    async with fair.browsing("client") as browser:
        new = {**FORM, "visible_to": "invited", "version": "1", "act": "post", "title": "Something else"}
        await browser.post(f"/jobs/{fair.job}/edit", data=new)
        assert f"/jobs/{fair.job}?version=1" in (await browser.get(f"/jobs/{fair.job}/proposals")).text
    async with fair.browsing("proposer") as browser:
        assert "the job was edited since" in (await browser.get(f"/jobs/{fair.job}")).text
        old = (await browser.get(f"/jobs/{fair.job}?version=1")).text
    assert "<h1>Harbour booking site</h1>" in old and "the one that your proposal answered" in old


async def test_an_invitation_s_link_is_shown_once_and_leads_to_the_job(fair: Fair) -> None:
    async with fair.browsing("client") as browser:
        answer = await browser.post(f"/jobs/{fair.job}/invitations", data={"email": "new@example.org"})
        assert answer.headers["cache-control"] == "no-store"
        [link] = re.findall(r"/job-invitations/[\w-]+", answer.text)
        again = await browser.post(f"/jobs/{fair.job}/invitations", data={"email": "new@example.org"})
        assert again.status_code == 409 and "tomorrow" in again.text
    async with fair.browsing(None) as browser:
        shown = (await browser.get(link)).text
        assert "Harbour booking site" in shown and f"/sign-in?next={link}" in shown
    async with fair.browsing("stranger") as browser:
        taken = await browser.post(link)
        assert taken.headers["location"] == f"/jobs/{fair.job}"
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 200
    async with fair.browsing("blocked") as browser:
        assert (await browser.get(link)).status_code == 410


async def test_a_known_pair_starts_without_a_job(fair: Fair) -> None:
    async with fair.browsing("stranger") as browser:
        key = hidden((await browser.get("/start")).text)["key"]
        form = {"key": key, "title": "Kept <title>", "side": "", "time_zone": "Europe/Lisbon"}
        refused = await browser.post("/start", data=form)
        assert refused.status_code == 422 and 'value="Kept &lt;title&gt;"' in refused.text and key in refused.text
        opened = await browser.post("/start", data={**form, "side": "freelancer"})
        [link] = re.findall(r"/invitation/[\w-]+", opened.text)
        assert "Invite the client" in opened.text
    async with fair.browsing("invited") as browser:
        assert "as the <b>client</b>" in (await browser.get(link)).text


async def test_a_report_with_a_block_is_sent_and_shown(fair: Fair) -> None:
    path = f"/report/job/{fair.job}"
    async with fair.browsing("proposer") as browser:
        refused = await browser.post(path, data={"reason": "other", "text": "", "block": "on"})
        assert refused.status_code == 422 and "Say what is wrong" in refused.text
        assert re.search(r'value="other" checked', refused.text) and 'name="block" checked' in refused.text
        sent = await browser.post(path, data={"reason": "fraud", "text": "A <deposit>", "block": "on"})
        assert sent.headers["location"] == "/reports?done=reported"
        shown = (await browser.get("/reports")).text
        assert "has not answered yet" in shown and "Client" in shown
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 404
        await browser.post(f"/blocks/{fair.people['client'].account}/remove")
        assert (await browser.get(f"/jobs/{fair.job}")).status_code == 200


async def test_what_people_wrote_is_inert(fair: Fair) -> None:
    nasty = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1))"
    form = {**FORM, "title": "<script>", "description": nasty, "skills": "<i>", "act": "post", "job": "1" * 26}
    async with fair.browsing("client") as browser:
        await browser.post("/jobs/new", data=form)
        for path in ("/jobs", f"/jobs/{'1' * 26}", f"/jobs/{'1' * 26}/edit", f"/jobs/{'1' * 26}/proposals"):
            main = (await browser.get(path)).text.split("<main", 1)[1]
            assert "<script>" not in main and "<img" not in main and 'href="javascript' not in main, path


# The API


async def test_the_api_does_what_the_pages_do_and_is_as_described(live: Live, fair: Fair) -> None:
    new = {name: FORM[name] for name in ("title", "description", "currency", "time_zone", "low", "high")}
    async with live.http(fair.people["client"]) as client, live.http(fair.people["stranger"]) as freelancer:
        posted = await client.post("/api/jobs", json={**new, "pay": "hourly", "work_view": True})
        job = msgspec.json.decode(posted.content, type=job_schemas.ShownJob)
        assert (posted.status_code, job.offer.low_minor, job.offer.currency) == (201, 4000, "EUR")
        listed = await freelancer.get("/api/jobs", params={"q": "berths", "open": "true", "pay": "hourly"})
        assert job.id in [each.id for each in msgspec.json.decode(listed.content, type=job_schemas.Jobs).jobs]
        typed = {"text": "Quick", "amount": "45.5", "soon": "now", "version": job.version}
        sent = await freelancer.post(f"/api/jobs/{job.id}/proposals", json=typed)
        proposal = msgspec.json.decode(sent.content, type=job_schemas.ChangedProposal).id
        waiting = await client.get(f"/api/jobs/{job.id}/proposals")
        [shown] = msgspec.json.decode(waiting.content, type=job_schemas.Proposals).proposals
        assert (shown.id, shown.amount_minor, shown.state) == (proposal, 4550, "sent")
        opened = await client.post(f"/api/proposals/{proposal}/open")
        room = msgspec.json.decode(opened.content, type=job_schemas.OpenedMessages).room
        assert (await client.post(f"/api/proposals/{proposal}/open")).json() == {"room": room}
        for path in ("withdraw", "decline"):
            actor = freelancer if path == "withdraw" else client
            refused = await actor.post(f"/api/proposals/{proposal}/{path}", json={})
            assert msgspec.json.decode(refused.content, type=openapi.Error).error.code == "conflict"
        closed = await client.post(f"/api/jobs/{job.id}/close")
        assert msgspec.json.decode(closed.content, type=job_schemas.ShownJob).state == "closed"
        assert (await freelancer.get(f"/api/jobs/{fair.job}")).status_code == 404
        wrong = await client.post("/api/jobs", json={**new, "pay": "hourly", "low": "4,5"})
        assert wrong.json()["error"]["field"] == "low"
        for query in ({"page": "0"}, {"view": "x"}, {"pay": "x"}):
            assert (await client.get("/api/jobs", params=query)).status_code == 422


async def test_every_route_of_jobs_is_described(live: Live) -> None:
    async with live.http() as http:
        document = (await http.get("/api/openapi.json")).json()
    text = str(document)
    for name in ("Jobs", "PostJob", "SendProposal", "OpenedMessages"):
        assert f"#/components/schemas/{name}" in text and name in document["components"]["schemas"]
