//! The mistakes of a first day, each with the one message that says what failed,
//! why, and what to do. The snapshot reads from top to bottom.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::Server;
use serde_json::{Value, json};

/// A policy without mistakes.
const POLICY: &str = r#"repository = "acme/lamps"

[words]
service = ["api", "web"]

[[rule]]
id = "workers"
kind = "worker"
name = "{service}-preview-{pr}"
dead-when = "closed"

[[rule]]
id = "hosts"
kind = "dns_record"
zone = "example.com"
name = "{service}-preview-{pr}.example.com"
dead-when = "closed"
"#;

fn world() -> Value {
    let pull_request = |number: u32, state: &str, closed_at: Option<&str>| {
        json!({"number": number, "state": state, "title": "Lamps", "head_ref": "lamps",
            "head_repo": "acme/lamps", "created_at": "2026-03-10T10:00:00Z",
            "updated_at": "2026-04-01T10:00:00Z", "closed_at": closed_at})
    };
    let resource = |kind: &str, name: &str| {
        json!({"kind": kind, "name": name, "created_at": "2026-03-12T10:00:00Z",
            "updated_at": "2026-03-12T10:00:00Z", "attributes": {}})
    };
    json!({
        "repository": "acme/lamps", "now": "2026-04-10T09:00:00Z",
        "pull_requests": [
            pull_request(120, "closed", Some("2026-03-20T10:00:00Z")),
            pull_request(122, "open", None),
        ],
        "git_branches": ["main", "lamps"],
        "resources": [
            resource("worker", "api-preview-120"), resource("worker", "checkout-preview-120"),
            resource("worker", "web-preview-122"),
            json!({"kind": "dns_record", "name": "api-preview-120.example.com",
                "created_at": "2026-03-12T10:00:00Z", "updated_at": "2026-03-12T10:00:00Z",
                "attributes": {"type": "CNAME", "content": "example.com", "proxied": true}}),
        ],
    })
}

/// The page on which the mistakes are written.
struct Page {
    folder: tempfile::TempDir,
    server: Server,
    text: String,
}

impl Page {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world_file = folder.path().join("world.json");
        std::fs::write(&world_file, world().to_string()).unwrap();
        let server = Server::start(&["--world", &world_file.display().to_string()]);
        let page = Self {
            folder,
            server,
            text: String::new(),
        };
        page.write("policies/previews.toml", POLICY);
        page
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A policy with one mistake.
    fn policy(&self, from: &str, to: &str) {
        let text = POLICY.replacen(from, to, 1);
        assert_ne!(text, POLICY, "{from}");
        self.write("mistake/previews.toml", &text);
    }

    /// Makes a mistake with these arguments and variables; a variable without a
    /// value is unset.
    fn mistake(&mut self, title: &str, arguments: &str, variables: &[(&str, Option<&str>)]) {
        let mut command = self.server.program();
        command.current_dir(self.path()).args(arguments.split(' '));
        command.env("PREVIEW_GC_JOURNAL", self.path().join("journal"));
        let mut shown = String::new();
        for (name, value) in variables {
            let _ = match value {
                Some(value) => write!(shown, "{name}={value} "),
                None => write!(shown, "{name}= "),
            };
            command.env(name, value.unwrap_or_default());
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap()
            + std::str::from_utf8(&output.stderr).unwrap();
        let code = output.status.code().unwrap();
        let base = &self.server.environment;
        let base = base
            .iter()
            .find(|(name, _)| name == "CLOUDFLARE_API_BASE_URL");
        let base = base.unwrap().1.trim_end_matches("/client/v4").to_owned();
        let text = text.replace(&base, "https://cloud.example");
        let lines: String = text
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        let _ = write!(
            self.text,
            "### {title}\n\n$ {shown}preview-gc {arguments}\n? {code}\n{lines}\n"
        );
    }

    fn refuse(&self, path: &str, status: u16, message: &str) {
        let body = json!({"message": message, "success": false, "result": null, "messages": [],
            "errors": [{"code": 10000, "message": message}]});
        self.server.plant(&json!([
            {"on": {"path": path}, "times": null, "fault": {"status": status, "body": body}}
        ]));
    }
}

fn in_policies(page: &mut Page) {
    let bad = "check --offline --policies mistake";
    page.policy("dead-when", "dead-wen");
    page.mistake("A typo in a key", bad, &[]);
    page.policy("\"worker\"", "\"wroker\"");
    page.mistake("A kind that there is not", bad, &[]);
    page.policy(
        "dead-when = \"closed\"",
        "dead-when = \"closed\"\ngrace = \"1 day\"",
    );
    page.mistake("A bad duration", bad, &[]);
    page.policy("{service}-preview-{pr}", "*-preview-{pr}");
    page.mistake("A glob in a rule", bad, &[]);
    page.policy("{service}-preview-{pr}", "^(api|web)-preview-{pr}$");
    page.mistake("A regular expression in a rule", bad, &[]);
    page.policy("zone = ", "where = { type = \"cname\" }\nzone = ");
    page.mistake("A value in another case", bad, &[]);
    page.policy("dead-when", "except = \"*\"\ndead-when");
    page.mistake("An `except` that leaves nothing", bad, &[]);
    page.policy("kind = \"worker\"", "kind = \"pages_deployment\"");
    page.mistake("`name` of what has a `branch`", bad, &[]);
}

fn in_files_and_arguments(page: &mut Page) {
    page.mistake("No folder of policies", "audit --policies nowhere", &[]);
    std::fs::create_dir(page.path().join("empty")).unwrap();
    page.mistake("A folder without policies", "audit --policies empty", &[]);
    page.write(
        "typo.json",
        "{\"repository\": \"acme/lamps\",\n \"resorces\": []}",
    );
    page.mistake("A world file with a typo", "audit --sandbox=typo.json", &[]);
    page.mistake("A world file without `=`", "audit --sandbox typo.json", &[]);
    page.mistake(
        "A kind that there is not, as an argument",
        "audit --kind wroker",
        &[],
    );
    page.mistake("A word of another tool", "plan", &[]);
    page.mistake("An option of another tool", "sweep --force", &[]);
    page.mistake(
        "A bad value in a variable",
        "audit",
        &[("PREVIEW_GC_GRACE", Some("a day"))],
    );
}

fn in_tokens_and_places(page: &mut Page) {
    page.mistake(
        "No token",
        "audit -q",
        &[("GITHUB_TOKEN", None), ("CLOUDFLARE_API_TOKEN", None)],
    );
    page.mistake(
        "No token for one provider",
        "audit -q",
        &[("CLOUDFLARE_API_TOKEN", None)],
    );
    page.refuse("/client/v4/", 401, "Invalid API Token");
    page.mistake("A token that is not accepted", "check", &[]);
    page.server.plant(&json!([]));
    page.write(
        "workers/w.toml",
        &POLICY[..POLICY.rfind("[[rule]]").unwrap()],
    );
    page.mistake(
        "A token of another account",
        "check --policies workers",
        &[(
            "CLOUDFLARE_ACCOUNT_ID",
            Some("00000000000000000000000000000000"),
        )],
    );
    page.policy("zone = \"example.com\"", "zone = \"exmaple.com\"");
    page.mistake("A wrong zone", "audit -q --policies mistake", &[]);
    page.policy("acme/lamps", "acme/lanterns");
    page.mistake("A renamed repository", "check --policies mistake", &[]);
    page.refuse(
        "/issues$",
        403,
        "Resource not accessible by personal access token",
    );
    page.mistake("A GitHub token that cannot read issues", "audit -q", &[]);
    page.server.plant(&json!([]));
}

fn in_sweeps(page: &mut Page) {
    page.mistake(
        "A sweep in CI without consent",
        "sweep -q",
        &[("CI", Some("true"))],
    );
    page.mistake("An open pull request", "sweep --yes -q --pr 122", &[]);
    page.mistake(
        "A pull request that there is not",
        "sweep --yes -q --pr 4711",
        &[],
    );
    page.mistake("Nothing approved", "sweep --yes -q --approved", &[]);
    let mut command = page.server.program();
    command
        .current_dir(page.path())
        .args(["audit", "--out", "plan.json"]);
    assert!(command.output().unwrap().status.success());
    let plan = std::fs::read_to_string(page.path().join("plan.json")).unwrap();
    let altered = plan.replace("api-preview-120", "api-production");
    assert_ne!(altered, plan);
    page.write("plan.json", &altered);
    page.mistake("An altered plan", "sweep --yes --plan plan.json", &[]);
    page.mistake("A name that nothing has", "explain web-preview-120", &[]);
    page.mistake(
        "A name that no rule matches",
        "explain checkout-preview-120",
        &[],
    );
}

#[test]
fn each_mistake_of_a_first_day_has_one_message_with_what_to_do() {
    let mut page = Page::open();
    in_policies(&mut page);
    in_files_and_arguments(&mut page);
    in_tokens_and_places(&mut page);
    in_sweeps(&mut page);
    insta::assert_snapshot!(page.text);
}
