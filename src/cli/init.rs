//! `preview-gc init`: proposes policies from evidence. It reads; the only thing
//! that it writes is a new policy file, and a workflow with `--workflow`.

mod adopt;
mod checks;
mod gather;
mod local;
mod write;

use std::fmt::Write as _;

use serde::Serialize;
use tokio::time::Instant;

use super::args::InitArgs;
use super::consent::{answer, is_person};
use super::{Exit, RunFailure, print, settings};
use crate::init::{RuleProposal, Status, file, workflows};
use crate::policy::PolicySource;
use crate::report::escape;
use crate::report::format::Format;

/// The document of `--format json`.
#[derive(Debug, Serialize)]
struct InitDocument<'p> {
    schema: u32,
    proposals: &'p [RuleProposal],
    policy: &'p str,
    /// Names that the repository's own workflows make.
    workflows: &'p [workflows::WorkflowName],
    advice: &'p [String],
}

/// Names that one line of a table shows.
const SHOWN: usize = 3;

pub(super) async fn run(arguments: InitArgs) -> Result<Exit, RunFailure> {
    let read = if arguments.common.sandbox().is_some() {
        workflows::WorkflowFacts::default()
    } else {
        workflows::read(&local::files())
    };
    if arguments.check {
        return checks::run(&arguments, &read);
    }
    if arguments.adopt {
        return adopt::run(&arguments).await;
    }
    let gathered = gather::gather(&arguments, &read).await?;
    let mut proposals = gathered.proposals;
    let json = arguments.common.format() == Format::Json;
    let asked = proposals
        .iter()
        .filter(|one| one.status == Status::Ask)
        .count();
    let mut accepted = 0;
    if !json && asked > 0 && is_person() {
        accepted = ask(&mut proposals, asked, gathered.deadline).await?;
    }
    let sure = || proposals.iter().filter(|one| one.status == Status::Sure);
    let policy = file::policy(&gathered.head, sure());
    if sure().next().is_some() {
        let proposed = PolicySource {
            path: write::POLICY.to_owned(),
            text: policy.clone(),
        };
        settings::read(&[proposed], &gathered.variables, &arguments.common)?;
    }
    if json {
        let document = InitDocument {
            schema: 1,
            proposals: &proposals,
            policy: &policy,
            workflows: &read.made,
            advice: &read.advice,
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| RunFailure::Unexpected(error.to_string()))?;
        print(&format!("{text}\n"))?;
        return Ok(gathered.exit);
    }
    let mut text = gathered.read_lines;
    text.push_str(&table(&proposals, accepted));
    for advice in &read.advice {
        let _ = writeln!(text, "advice   {}", escape::terminal(advice));
    }
    if sure().next().is_none() {
        text.push_str("nothing  no rule is proved, so no policy was written\n");
        if !gathered.proved {
            for made in &read.made {
                let (template, location) = (&made.template, &made.location);
                let template = escape::terminal(template);
                let _ = writeln!(
                    text,
                    "written  {} {template}  {}",
                    made.kind,
                    escape::terminal(location)
                );
            }
            text.push_str("         no Cloudflare account or Neon project was read; set the variables of README \"Audit your repository\"\n");
        }
    } else {
        text.push_str(&write::policy(&arguments, &policy)?);
    }
    if arguments.workflow {
        text.push_str(&write::workflow(&arguments)?);
    }
    if sure().next().is_some() && arguments.common.sandbox().is_none() {
        text.push_str("next     run `preview-gc audit`; once its reports have been right for a week, `preview-gc init --adopt`\n");
    }
    print(&text)?;
    Ok(gathered.exit)
}

/// Asks about each rule that is not proved. Returns how many were accepted.
async fn ask(
    proposals: &mut [RuleProposal],
    asked: usize,
    deadline: Instant,
) -> Result<usize, RunFailure> {
    let mut accepted = 0;
    let open = proposals.iter_mut().filter(|one| one.status == Status::Ask);
    for (index, proposal) in open.enumerate() {
        let names = shown(&proposal.matches);
        let mut question = format!("ask  {}/{asked} {} {names}\n", index + 1, proposal.kind);
        let _ = writeln!(question, "         {}", escape::terminal(&proposal.why));
        question.push_str(
            "         Do your previews create this, and should it be deleted after them? [y/N/show] ",
        );
        let mut prompt = question.clone();
        loop {
            let typed = answer(&prompt, deadline).await?;
            match typed.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => {
                    proposal.status = Status::Sure;
                    proposal.witnesses.push("confirmed by a person".to_owned());
                    accepted += 1;
                    break;
                }
                "show" | "s" => {
                    prompt.clear();
                    for line in proposal.matches.iter().chain(&proposal.witnesses) {
                        let _ = writeln!(prompt, "           {}", escape::terminal(line));
                    }
                    prompt.push_str(&question);
                }
                "n" | "no" | "" => break,
                _ => "         Answer y, n or show: ".clone_into(&mut prompt),
            }
        }
    }
    Ok(accepted)
}

fn shown(names: &[String]) -> String {
    let first: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| escape::terminal(name))
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// The proposals, one or two lines each.
fn table(proposals: &[RuleProposal], accepted: usize) -> String {
    let mut text = String::new();
    let mut skipped = 0;
    for proposal in proposals {
        let word = match proposal.status {
            Status::Sure => "rule   ",
            Status::Ask => "open   ",
            Status::Never => "no rule",
        };
        skipped += usize::from(proposal.status == Status::Ask);
        let (id, names) = (&proposal.id, shown(&proposal.matches));
        let count = proposal.matches.len();
        if proposal.status == Status::Sure {
            let template = escape::terminal(&proposal.template);
            let odds = file::coincidence(proposal.odds);
            let _ = writeln!(text, "{word}  {id}  {template}");
            let _ = writeln!(text, "           {count} matched: {names}{odds}");
            for witness in &proposal.witnesses {
                let _ = writeln!(text, "           {}", escape::terminal(witness));
            }
        } else {
            let why = escape::terminal(&proposal.why);
            let _ = writeln!(text, "{word}  {} {names}: {why}", proposal.kind);
        }
    }
    if skipped > 0 {
        let _ = if is_person() {
            writeln!(text, "open     {skipped} that you did not confirm")
        } else {
            writeln!(
                text,
                "open     {skipped} questions; run in a terminal to answer them"
            )
        };
    }
    let sure = proposals.iter().filter(|one| one.status == Status::Sure);
    let frees: usize = sure.map(|one| one.frees).sum();
    let _ = writeln!(
        text,
        "today    these rules match {frees} resources of closed pull requests; they only report until you run `init --adopt`"
    );
    if accepted > 0 {
        let _ = writeln!(text, "added    {accepted} rules that you confirmed");
    }
    text
}
