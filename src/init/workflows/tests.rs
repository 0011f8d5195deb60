use std::collections::BTreeSet;

use super::*;
use crate::model::{KindRef, UsedBy};

fn workflow(text: &str) -> WorkflowFacts {
    read(&[SourceFile {
        path: "preview.yml".to_owned(),
        text: text.to_owned(),
    }])
}

fn templates(text: &str) -> Vec<String> {
    let all = workflow(text).made.into_iter();
    all.map(|one| {
        let verb = if one.deletes { " deleted" } else { "" };
        format!("{} {}{verb}", one.kind, one.template)
    })
    .collect()
}

/// Workflows in the styles that repositories use, each with what must come out.
const STYLES: [(&str, &str, &[&str]); 18] = [
    (
        "name on the command line",
        "      - run: npx wrangler deploy --name api-pr-${{ github.event.pull_request.number }}",
        &["worker api-pr-{pr}"],
    ),
    (
        "number in the environment",
        "    env:\n      PR_NUMBER: ${{ github.event.number }}\n    steps:\n      - run: |\n          wrangler deploy --name \"shop-preview-$PR_NUMBER\" --minify",
        &["worker shop-preview-{pr}"],
    ),
    (
        "name built in three levels",
        "env:\n  PREFIX: kody\njobs:\n  x:\n    env:\n      NAME: ${{ env.PREFIX }}-pr-${{ github.event.number }}\n    steps:\n      - run: wrangler deploy --name ${NAME}-runtime",
        &["worker kody-pr-{pr}-runtime"],
    ),
    (
        "wrangler action",
        "      - uses: cloudflare/wrangler-action@v3\n        with:\n          command: deploy --name web-preview-${{ github.event.number }}",
        &["worker web-preview-{pr}"],
    ),
    (
        "deletion at the close",
        "      - run: npx wrangler delete --name api-pr-${{ github.event.number }} --force",
        &["worker api-pr-{pr} deleted"],
    ),
    (
        "through the API",
        "          curl -X DELETE \"https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/workers/scripts/bot-pr-${PR_NUMBER}\"",
        &["worker bot-pr-{pr} deleted"],
    ),
    (
        "Neon's action",
        "      - uses: neondatabase/create-branch-action@v6\n        with:\n          branch_name: preview/pr-${{ github.event.number }}-${{ github.head_ref }}\n          expires_at: x",
        &["neon_branch preview/pr-{pr}-{branch}"],
    ),
    (
        "Neon's deletion",
        "      - uses: neondatabase/delete-branch-action@v3\n        with:\n          branch: preview-pr-${{ github.event.number }}",
        &["neon_branch preview-pr-{pr} deleted"],
    ),
    (
        "neonctl over two lines",
        "          neonctl branches create \\\n            --name \"pr-${{ github.event.number }}\" --parent main",
        &["neon_branch pr-{pr}"],
    ),
    (
        "databases, queues, buckets and namespaces",
        "        run: |\n          wrangler d1 create app-db-pr-$PR\n          wrangler queues create app-pr-$PR-mail\n          wrangler r2 bucket create app-pr-$PR-files\n          wrangler kv namespace create app-pr-$PR-cache",
        &[
            "d1 app-db-pr-{pr}",
            "kv_namespace app-pr-{pr}-cache",
            "queue app-pr-{pr}-mail",
            "r2 app-pr-{pr}-files",
        ],
    ),
    (
        "environment of GitHub",
        "    environment: preview-${{ github.event.number }}",
        &["github_environment preview-{pr}"],
    ),
    (
        "Pages by branch",
        "      - run: wrangler pages deploy dist --project-name site --branch pr-${{ github.event.number }}",
        &["pages_deployment pr-{pr}"],
    ),
    (
        "alias of a Preview",
        "      - run: wrangler versions upload --preview-alias pr-${{ github.event.number }}",
        &["worker_preview pr-{pr}"],
    ),
    (
        "format and or",
        "      NAME: ${{ format('api-pr-{0}', github.event.number || inputs.pr) }}\n      - run: wrangler deploy --name ${{ env.NAME }}",
        &["worker api-pr-{pr}"],
    ),
    (
        "output of a step",
        "      - run: echo \"stage=pr-${{ github.event.number }}\" >> $GITHUB_OUTPUT\n      - run: wrangler deploy --name app-${{ steps.stage.outputs.stage }}",
        &["worker app-pr-{pr}"],
    ),
    (
        "service of a matrix",
        "      - run: wrangler deploy --name ${{ matrix.service }}-preview-${{ github.event.number }}",
        &["worker {*}-preview-{pr}"],
    ),
    (
        "slug of a head",
        "          SLUG=$(echo \"${{ github.head_ref }}\" | tr '/' '-')\n          wrangler deploy --name app-$SLUG",
        &["worker app-{slug}"],
    ),
    (
        "run of Actions",
        "      - run: neonctl branches create --name ci-${{ github.run_id }}",
        &["neon_branch ci-{run}"],
    ),
];

#[test]
fn workflows_of_every_style_give_their_templates() {
    for (style, text, expected) in STYLES {
        assert_eq!(templates(text), expected, "{style}\n{text}");
    }
}

#[test]
fn permanent_names_and_comments_make_nothing() {
    for text in [
        "      - run: wrangler deploy --name api-production",
        "      - run: wrangler deploy",
        "      # run: wrangler deploy --name api-pr-${{ github.event.number }}",
        "      - run: wrangler deploy --name ${{ github.event.number }}",
        "      - run: echo deploy --name api-pr-${{ github.event.number }}",
        "    environment: production",
    ] {
        assert_eq!(templates(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn an_environment_of_wrangler_has_the_names_of_the_configurations() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let account = "0123456789abcdef0123456789abcdef";
    let facts = read(&[
        file(
            "api/wrangler.toml",
            &format!("name = \"api\"\naccount_id = \"{account}\"\n[env.x]\nname = \"no\"\n"),
        ),
        file(
            "web/wrangler.jsonc",
            "{\n  // the site\n  \"name\": \"web\",\n}",
        ),
        file(
            ".github/workflows/p.yml",
            "      - run: wrangler deploy --env pr-${{ github.event.number }}",
        ),
    ]);
    let names: Vec<_> = facts.made.iter().map(|one| one.template.as_str()).collect();
    assert_eq!(names, ["api-pr-{pr}", "web-pr-{pr}"]);
    assert_eq!(facts.account.as_deref(), Some(account));
    assert_eq!((facts.workflows, facts.configurations), (1, 2));
}

#[test]
fn leaks_in_workflows_are_reported() {
    let create = "on:\n  pull_request:\njobs:\n      - uses: neondatabase/create-branch-action@v6\n        with:\n          branch_name: preview/pr-${{ github.event.number }}\n";
    let advice = workflow(create).advice;
    assert!(
        advice.iter().any(|one| one.contains("without expires_at")),
        "{advice:?}"
    );
    assert!(
        advice.iter().any(|one| one.contains("when one is closed")),
        "{advice:?}"
    );
    let closed = create.replace(
        "pull_request:\n",
        "pull_request:\n    types: [opened, closed]\n",
    );
    let advice = workflow(&closed.replace("with:\n", "with:\n          expires_at: x\n")).advice;
    assert_eq!(advice, Vec::<String>::new());
    let swallowed = "      - run: wrangler delete --name a-pr-${{ github.event.number }} || true";
    let advice = workflow(swallowed).advice;
    assert!(
        advice.iter().any(|one| one.contains("ignores a failure")),
        "{advice:?}"
    );
}

#[test]
fn hostile_files_cost_little_and_make_nothing() {
    let bomb: String = (0..40)
        .map(|level| format!("a{level}: &a{level} [*a{}, *a{}]\n", level + 1, level + 1))
        .collect();
    let circle = "A: ${{ env.B }}\nB: ${{ env.A }}$A$B\n - run: wrangler deploy --name x-$A-pr-$PR";
    let many: String = (0..20_000)
        .map(|n| format!("V{n}: $V{}\n", n + 1))
        .collect();
    let open = "- run: wrangler deploy --name api-pr-${{ github.event.number";
    let dollars = "$(".repeat(2_000);
    let quotes = "      - run: wrangler deploy --name 'a\"]\\nkind = \"worker\"-pr-${{ github.event.number }}'";
    for text in [
        &bomb,
        &many,
        open,
        &dollars,
        quotes,
        &"x".repeat(LARGEST + 1),
    ] {
        assert_eq!(templates(text), Vec::<String>::new());
    }
    assert_eq!(templates(circle), ["worker x-{*}-pr-{pr}"]);
}

#[test]
fn unknown_parts_cover_text_and_never_other_holes() {
    let made = |template: &str| WorkflowName {
        kind: "worker",
        template: template.to_owned(),
        location: String::new(),
        deletes: false,
    };
    for (pattern, template, expected) in [
        ("{*}-preview-{pr}", "api-preview-{pr}", true),
        ("{*}-preview-{pr}", "api-preview-{pr}-x", false),
        ("api-pr-{pr}", "api-pr-{pr}", true),
        ("api-pr-{pr}", "apiary-pr-{pr}", false),
        ("{*}{pr}", "billing-pr-{pr}", false),
        ("{*}-pr-{*}", "a-pr-{pr}", false),
        ("app-{branch}", "app-{pr}", false),
    ] {
        assert_eq!(
            made(pattern).covers(template),
            expected,
            "{pattern} {template}"
        );
    }
}

#[test]
fn a_format_that_grows_without_end_is_an_unknown_text() {
    let many = |hole: &str| hole.repeat(40);
    let text = format!(
        "jobs:\n  a:\n    steps:\n      - run: wrangler deploy --name ${{{{ format('x-{}','{}','{}','{}') }}}}\n",
        many("{0}"),
        many("{1}"),
        many("{2}"),
        many("{3}")
    );
    assert_eq!(templates(&text), Vec::<String>::new());
}

#[test]
fn unknown_holes_take_any_text_without_a_hole() {
    for (pattern, text, expected) in [
        ("app-{*}-{pr}", "app-web-{pr}", true),
        ("app-{*}-{pr}", "app-{pr}", false),
        ("app-{*}{pr}{*}", "app-web-{pr}-db", true),
        ("a{*}b{*}c{pr}", "axbybzc{pr}", true),
        ("a{*}{pr}", "a{branch}{pr}", false),
        ("app-{pr}", "app-{pr}", true),
        ("app-{pr}", "app-{pr}-db", false),
    ] {
        assert_eq!(covers(pattern, text), expected, "{pattern} {text}");
    }
    // Many holes are no more work than many letters.
    let pattern = format!("{}x{{pr}}", "{*}a".repeat(60));
    assert!(!covers(&pattern, &format!("{}{{pr}}", "a".repeat(200))));
}

/// A command that is not known here makes no proposal for what it creates.
#[test]
fn wrangler_has_a_command_for_all_that_workers_bind_and_do_not_make() {
    let known: BTreeSet<_> = sinks::STORAGE.iter().map(|(_, kind)| *kind).collect();
    let kinds = crate::providers::vocabulary().into_iter();
    let bound = kinds.filter(|kind| match kind.used_by {
        UsedBy::These(users) => users.contains(&"worker"),
        UsedBy::Nothing(_) | UsedBy::Undeclared => false,
    });
    let deployed = ["worker", "workflow"];
    let bound = bound.map(KindRef::name);
    let bound: BTreeSet<_> = bound.filter(|kind| !deployed.contains(kind)).collect();
    assert_eq!(known, bound);
}
