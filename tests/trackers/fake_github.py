"""GitHub as far as the bridge talks to it: issues, comments, labels, milestones, a repository, a user."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.testing import FakeServer, Reply, Request
from tests.trackers.specs import Description

PREFIX = "/api/v3"
REPOSITORY = "acme/shop"
TOKEN = "github_pat_11AAAAAAA0_secretsecret"
APP_TOKEN = "ghs_installationtoken0123456789"
MARKER = re.compile(r"testio-bug-[0-9a-z-]*[0-9a-z]")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NOT_FOUND = Reply(404, json={"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})


class GitHubServer(FakeServer):
    """One repository.

    Attributes:
        login: Whose token it is.
        may_push: Without it labels, assignees, type and milestone are dropped in silence.
        repository: Changes to what `GET /repos/acme/shop` answers.
        headers: More headers of every answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.login = "crowd-bot"
        self.may_push = True
        self.repository: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.labels = ["bug", "test-io"]
        self.people = ["octocat", "crowd-bot"]
        self.types = ["Bug", "Feature", "Task"]
        self.milestones = {"Sprint 7": 3}
        self.visible = [REPOSITORY]
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[str]] = {}
        self._described = [Description.load(name, PREFIX) for name in ("github.json", "github_ghes.json")]

    def is_create(self, request: Request) -> bool:
        return request.method == "POST" and request.path == f"{PREFIX}/repos/{REPOSITORY}/issues"

    def markers(self) -> list[str]:
        with self.lock:
            return [found[0] for issue in self.issues.values() if (found := MARKER.search(issue["body"] or ""))]

    def validate(self, request: Request, reply: Reply) -> None:
        described = [description for description in self._described if description]
        known = [description for description in described if description.operation(request)]
        if described and reply.status < 400 and not request.path.endswith("/user/repos"):  # cut from what is saved
            assert known, f"{request} is in no description"
        for description in known:
            problems = description.check(request, reply)
            assert not problems, problems

    def close_issue(self, number: int, reason: str = "completed") -> None:
        """Let a person close an issue."""
        with self.lock:
            self.issues[number] |= {"state": "closed", "state_reason": reason}

    def respond(self, request: Request) -> Reply:
        reply = self._answer(request)
        return Reply(reply.status, reply.json, reply.body, {**self.headers, **reply.headers})

    def _answer(self, request: Request) -> Reply:
        path = request.path.removeprefix(PREFIX)
        if not request.headers.get("user-agent"):
            return Reply(403, json={"message": "Request forbidden by administrative rules."})
        if path.startswith("/app/"):
            return self._installation_token()
        if request.headers.get("authorization") not in {f"token {TOKEN}", f"token {APP_TOKEN}"}:
            return Reply(401, json={"message": "Bad credentials"})
        if path == "/user":
            return Reply(json=self._user(self.login, more=True))
        if path == "/user/repos":
            return Reply(json=[{"full_name": name} for name in self.visible])
        if not path.startswith(f"/repos/{REPOSITORY}"):
            return NOT_FOUND
        return self._in_repository(request, path.removeprefix(f"/repos/{REPOSITORY}"))

    def _in_repository(self, request: Request, path: str) -> Reply:
        lists: dict[str, list[Any]] = {
            "/labels": [self._label(name) for name in self.labels],
            "/assignees": [self._user(login) for login in self.people],
            "/milestones": [self._milestone(title) for title in self.milestones],
            "/issue-types": [
                {"id": n, "node_id": "t", "name": t, "description": t} for n, t in enumerate(self.types)
            ],
        }
        if path == "":
            return Reply(json=self._repository())
        if path in lists:
            return self._page(request, lists[path])
        if path == "/issues":
            return (
                self._create(request) if request.method == "POST" else self._page(request, self._newest(request))
            )
        found = re.fullmatch(r"/issues/(\d+)(/comments)?", path)
        if found is None or int(found[1]) not in self.issues:
            return NOT_FOUND
        return self._comment(request, int(found[1])) if found[2] else self._issue(request, int(found[1]))

    def _create(self, request: Request) -> Reply:
        asked, number = request.json, len(self.issues) + 1
        if problem := self._problem(asked):
            return problem
        moment = (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        own = self._api("issues", number)
        self.issues[number] = {
            "id": 4_653_757 + number, "node_id": "I_1", "number": number, "state": "open", "state_reason": None,
            "title": "", "body": None, "user": self._user(self.login), "labels": [], "assignee": None,
            "assignees": [], "milestone": None, "type": None, "locked": False, "comments": 0, "closed_at": None,
            "created_at": moment, "updated_at": moment, "author_association": "NONE", "url": own,
            "html_url": f"https://github.com/{REPOSITORY}/issues/{number}", "repository_url": self._api(),
            "labels_url": own, "comments_url": own, "events_url": own,
        }  # fmt: skip
        self._set(self.issues[number], asked)
        return Reply(201, json=self.issues[number], headers={"Location": own})

    def _problem(self, asked: dict[str, Any]) -> Reply | None:
        wrong = []
        if not str(asked.get("title", "x")).strip() or len(asked.get("title", "")) > 256:
            wrong.append({"resource": "Issue", "field": "title", "code": "invalid"})
        if len(asked.get("body") or "") > 65_536:
            wrong.append({"resource": "Issue", "field": "body", "code": "custom", "message": "body is too long"})
        unknown = [login for login in asked.get("assignees", ()) if login not in self.people]
        if unknown:
            wrong.append({"resource": "Issue", "field": "assignees", "code": "invalid", "value": unknown[0]})
        return Reply(422, json={"message": "Validation Failed", "errors": wrong}) if wrong else None

    def _set(self, issue: dict[str, Any], asked: dict[str, Any]) -> None:
        issue |= {name: asked[name] for name in ("title", "body", "state") if name in asked}
        if not self.may_push:
            return
        for label in asked.get("labels", ()):
            if label not in self.labels:
                self.labels.append(label)
        if "labels" in asked:
            issue["labels"] = [self._label(name) for name in asked["labels"]]
        if "assignees" in asked:
            issue["assignees"] = [self._user(login) for login in asked["assignees"]]
        if asked.get("type") in self.types:
            issue["type"] = {"id": 1, "node_id": "t", "name": asked["type"], "description": ""}
        if "milestone" in asked:
            issue["milestone"] = next(
                self._milestone(t) for t, n in self.milestones.items() if n == asked["milestone"]
            )

    def _issue(self, request: Request, number: int) -> Reply:
        if request.method == "PATCH":
            if problem := self._problem(request.json):
                return problem
            self._set(self.issues[number], request.json)
        return Reply(json=self.issues[number])

    def _comment(self, request: Request, number: int) -> Reply:
        self.comments.setdefault(number, []).append(request.json["body"])
        own, moment = self._api("issues", "comments", 9), "2026-01-05T09:00:00Z"
        comment = {"id": 9, "node_id": "c", "url": own, "html_url": own, "issue_url": self._api("issues", number)}
        more = {"body": request.json["body"], "user": self._user(self.login), "author_association": "NONE"}
        return Reply(201, json=comment | more | {"created_at": moment, "updated_at": moment})

    def _newest(self, request: Request) -> list[Any]:
        since = request.query.get("since", [""])[0]
        state = request.query.get("state", ["open"])[0]
        found = [i for i in self.issues.values() if i["updated_at"] >= since and state in {"all", i["state"]}]
        return sorted(found, key=lambda issue: issue["created_at"], reverse=True)

    def _page(self, request: Request, items: list[Any]) -> Reply:
        size, page = (
            int(request.query.get(name, [text])[0]) for name, text in (("per_page", "30"), ("page", "1"))
        )
        query = "&".join(f"{k}={v[0]}" for k, v in request.query.items() if k != "page")
        more = len(items) > page * size
        url = f"https://elsewhere.example{request.path}?{query}&page={page + 1}"  # only its query is to be used
        link = {"Link": f'<{url}>; rel="next", <{url}>; rel="last"'} if more else {}
        return Reply(json=items[(page - 1) * size : page * size], headers=link)

    def _installation_token(self) -> Reply:
        return Reply(201, json={"token": APP_TOKEN, "expires_at": "2099-01-01T00:00:00Z", "permissions": {}})

    def _api(self, *parts: object) -> str:
        return "/".join([f"{self.url}{PREFIX}/repos/{REPOSITORY}", *map(str, parts)])

    def _type(self, name: str) -> dict[str, Any]:
        return {"id": 1, "node_id": "t", "name": name, "description": name}

    def _label(self, name: str) -> dict[str, Any]:
        url = self._api("labels", "x")
        return {"id": 1, "node_id": "l", "url": url, "name": name, "description": None, "color": "ededed",
                "default": False}  # fmt: skip

    def _milestone(self, title: str) -> dict[str, Any]:
        url, moment, number = self._api("milestones", 1), "2026-01-01T00:00:00Z", self.milestones[title]
        return {"url": url, "html_url": url, "labels_url": url, "id": 1, "node_id": "m", "number": number,
                "title": title, "description": None, "creator": None, "open_issues": 0, "closed_issues": 0,
                "state": "open", "created_at": moment, "updated_at": moment, "closed_at": None,
                "due_on": None}  # fmt: skip

    def _user(self, login: str, *, more: bool = False) -> dict[str, Any]:
        kinds = ("avatar", "html", "followers", "following", "gists", "starred", "subscriptions", "organizations",
                 "repos", "events", "received_events")  # fmt: skip
        urls = {f"{kind}_url": f"{self.url}/{login}" for kind in kinds}
        user: dict[str, Any] = {"login": login, "id": 1, "node_id": "u", "gravatar_id": "", "type": "User",
                "url": f"{self.url}/{login}", "site_admin": False, **urls}  # fmt: skip
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        empty = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio"))
        moments = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
        if more:
            user.update({**empty, **moments, **counts, "blog": "", "user_view_type": "public"})
        return user

    def _repository(self) -> dict[str, Any]:
        named = ("archive assignees blobs branches collaborators comments commits compare contents contributors "
                 "deployments downloads events forks git_commits git_refs git_tags hooks html issue_comment "
                 "issue_events issues keys labels languages merges milestones notifications pulls releases ssh "
                 "stargazers statuses subscribers subscription svn tags teams trees clone git")  # fmt: skip
        urls = {f"{name}_url": self._api() for name in named.split()}
        flags = dict.fromkeys(("private", "fork", "has_projects", "has_wiki", "has_pages", "has_discussions",
                               "archived", "disabled"), False)  # fmt: skip
        counts = dict.fromkeys(("forks_count", "forks", "stargazers_count", "watchers", "watchers_count", "size",
                                "open_issues", "open_issues_count", "network_count",
                                "subscribers_count"), 0)  # fmt: skip
        nothing = dict.fromkeys(("description", "homepage", "language", "license", "mirror_url"))
        moments = dict.fromkeys(("created_at", "updated_at", "pushed_at"), "2026-01-01T00:00:00Z")
        rights = {"admin": False, "pull": True, "push": self.may_push, "triage": self.may_push}
        names = {"id": 1, "node_id": "r", "name": "shop", "full_name": REPOSITORY, "default_branch": "main",
                 "owner": self._user("acme"), "url": self._api(), "has_issues": True}  # fmt: skip
        found = urls | flags | counts | nothing | moments | names | {"permissions": rights}
        return {**found, "releases_url": self._api(), **self.repository}
