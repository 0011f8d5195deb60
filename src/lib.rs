//! preview-gc: a garbage collector for preview environments.
//!
//! **Roots keep resources alive; mark decides from evidence; a plan says what;
//! sweep may only do less.**
//!
//! # The words
//!
//! - **root**: what keeps others alive: an open pull request, an existing git
//!   branch, an unfinished Actions run, a `protect` entry.
//! - **claim**: what a resource's name says it belongs to: a pull request, a
//!   git branch, the slug of one, a run, or nothing but itself.
//! - **reference**: a Worker binds a namespace, a branch has a parent, a custom
//!   domain manages a DNS record.
//! - **evidence**: what was asked, what was answered, whether it was complete.
//! - **verdict**: what becomes of a resource, with its reason inside.
//! - **plan**: what a sweep does, up to the maximum; a **plan file** is a plan with a digest.
//! - **survey**: one look at what exists and what keeps it alive, and the same
//!   look again, in part, just before a deletion.
//! - **outcome**: what became of a step. **journal**: what was about to be done,
//!   with a copy, and what became of it.
//!
//! # The flow, one way
//!
//! ```text
//! argv, env, policies/  -> Limits + Policies               cli::settings, policy
//! credentials           -> Transport: real HTTP | sandbox  cli::connect (the only fork)
//! all of these          -> Collector                       cli::session
//! kinds x Client        -> Inventory                       scan
//! Inventory's claims    -> Roots: what is alive            github (open pull requests, git branches)
//! claims, Roots         -> what nothing alive gives        gc::mark (pure)
//! that                  -> Roots: how it ended             github (by number, by head, runs)
//! Inventory, Roots      -> Marking                         gc::mark (pure)
//! Marking's questions   -> Uses -> mark again              scan::answer
//! Marking               -> Plan, brakes                    gc::plan, gc::brakes (pure)
//! Plan                  -> PlanFile                        gc::plan_file (pure)
//! PlanFile              -> Outcomes                        sweep, journal
//! all of it             -> Report -> renderers             report (pure)
//! ```
//!
//! Mark is asked before anything is known about references, and says which
//! *questions* decide: so a Worker's settings are read only where they can
//! change a verdict. It is run again with the answers until no question is
//! left. What was asked in vain stays unknown and is kept.
//!
//! A sweep runs the same functions again: before anything is sent, the kinds
//! concerned are listed anew, their pull requests are asked for anew, and all of
//! it is marked anew ([`survey::Survey::again`]). A step is taken only if its
//! resource is what it was and still garbage ([`gc::outcome::recheck`]). What
//! could not be deleted is marked as staying, so that it keeps what it uses.
//!
//! # Where things are
//!
//! - [`model`], [`evidence`]: plain values. [`call`]: a request as a value.
//! - [`policy`]: the owner's rules, validated, with their places in the file.
//! - [`gc`]: mark, plan, brakes, recheck. No I/O, no clock, no kind by name: what it
//!   needs to know of a kind stands in [`model::KindAbout`], and of all of them
//!   together in [`gc::kind_graph`]: who uses, owns, manages and blocks whom.
//! - `boxes`: the ticked boxes of the tracking issue, read where it is fetched.
//! - [`kinds`]: one file per kind; bytes in, resources out. Adding one is a
//!   file, a line in [`kinds::KINDS`] and its face in the sandbox. A kind says in
//!   [`model::KindAbout::used_by`] who can use it; one that does not say it is
//!   never deleted. Users that are no kind themselves (Pages projects, dispatch
//!   namespaces) are [`kinds::SOURCES`].
//! - [`wire`]: the seam, quotas, retries, tokens. [`clock`]: the time.
//! - [`scan`], [`github`]: everything that reads; `scan::uses` what single
//!   resources use, as far as a run may, and [`journal::reads`] what earlier runs
//!   read of that; [`survey`]: when and what.
//! - [`sweep`], [`journal`]: everything that deletes, and answers for it.
//! - [`collector`]: all of these put together, one run. `doctor`: that run as
//!   `check` makes it, with what it could not try.
//! - [`report`]: what people and programs see, the issue's text included. [`cli`]: arguments,
//!   environment, consent, exit codes.
//! - [`tui`]: the interactive audit as state and pictures; [`cli`] runs it.
//! - `sandbox`: the stand-in cloud, written from the providers' documents; behind
//!   the feature of that name, which is on unless it is turned off.
//!
//! # Who may import whom
//!
//! `tests/layering.rs` reads the sources and fails on a breach: `model`,
//! `evidence`, `policy` and `gc` know neither I/O nor kinds; kinds never import
//! each other; the sandbox imports nothing of the collector; only `cli` reads
//! arguments and environment and writes to a terminal.
//!
//! # Decisions worth knowing
//!
//! - What is alive is asked first, and how things ended only for what nothing
//!   alive gives: a busy repository has far more closed pull requests than open.
//! - Where an answer can be read two ways, the later time counts: a date in a
//!   name that leaves parts out is as late as it can be; an age on `merged`
//!   counts from the last pull request with that head, and an existing branch
//!   keeps all the same.
//! - Every Actions run is asked for by its id, however old the resource is: a
//!   run that is started again keeps its id, and a small number in a name is
//!   seldom a run.
//! - Rules are found by how a name begins ([`policy::Rules`]): a thousand rules
//!   cost a name little more than the one that reads it.
//! - Rules that share names are allowed (all of them must find a name dead) and
//!   `check` shows a name that they share; it also says which `protect` entries
//!   cover nothing that any rule could read.
//! - Redirects are never followed: a token stays at its host, and a renamed
//!   repository is never taken for the one that the policy names.
//! - A number that no pull request has is `unknown` with a reason of its own;
//!   it does not make the run incomplete, because missing is an answer.
//! - What belongs to something ([`model::KindAbout::belongs_to`]: custom domains,
//!   routes and Previews to their Worker, deployments to their environment) and
//!   is read by no rule is judged with it, by its own clocks too, and goes before
//!   it. One that is wanted for itself keeps what it belongs to.
//! - Everything stays that this run does not delete, garbage or not
//!   ([`gc::mark::JudgeInput::going`]): what it uses is kept, and its uses are asked for.
//! - A kind is listed only if a rule or a `protect` entry can be about it,
//!   directly or through what depends on it. Kinds that are listed by holder
//!   (Pages projects, Workers with Previews) are read again only where something
//!   is about to be deleted, and the deployments of an environment are listed only
//!   where the environment would go.
//! - A number in a name counts only together with time: what was made when the
//!   pull request of that number did not live is `unknown`, and so is what has no
//!   creation time and shares the number with it (`gc::mark::birth`). What was
//!   recorded at the creation (Neon's annotations, the source of a Pages
//!   deployment) must agree with the name.
//! - A `protect` entry holds for all files of a run and for every place. A rule or
//!   an entry that names a zone or project outside of the scope is a mistake: it is
//!   refused before any request or, where the scope has a zone by its id and the
//!   policy by its name, after the look-up of zones, before anything is listed.
//! - Repositories, accounts, zones and host names are compared in one normal form
//!   ([`model::identifier`]); a value without the form of one is neither sent nor
//!   printed.
//! - A Worker uses what its settings and each version that it serves bind. Where
//!   that cannot be read, or a binding is of a type that is not known, what it
//!   may name is kept.
//! - A Worker goes only in a run in which the queues that it consumes go too. Of
//!   Workers that bind each other one loses its binding first, which the plan
//!   says before anything is sent.
//! - An account with more Workers than one run may read is read by several. What
//!   an earlier run read counts only where the listings prove that what serves
//!   traffic is the same, and the latest version is read again: one request in
//!   place of three. Just before a deletion nothing that an earlier run read is
//!   used for what changed since this one began.
//! - What is undecided takes no place in a plan.
//! - What has no change time is compared by digests of its attributes and links
//!   (`gc::listed`), in a plan file too.
//! - What `restore` brought back stays until it is released.
//! - What has to go before something (a queue's consumer before its Worker) is
//!   removed only after the provider refused for want of it.
//! - The tracking issue is a root: what is ticked "keep" there is kept by every
//!   verb, so that an issue that cannot be read stops every deletion.
//! - A leak leaves the issue only when its kind was listed to its end in its
//!   place, without `--pr` or `--kind`: what a run did not see it carries on,
//!   ticks included.
//! - A request counts against the quota until a window after its *answer*: the
//!   provider counted it no later than that, so no window can hold more than the
//!   share whatever the latency.
//! - A deletion may wait for the quota only as long as what it rests on is young
//!   ([`wire::Client::write`]); then it is withdrawn and everything is read
//!   again. After three such rounds in a row a lane is given up: looking alone
//!   uses up the quota.
//! - The plan is ordered by what belongs together: what died first goes first,
//!   with everything of the same pull request, users before what they use, so a
//!   cap never leaves a Worker behind whose namespace is gone. What turns out to
//!   wait for something beyond the cap makes room for it.
//! - There is no `force` and no `hard_delete` to ask for: nothing that previews
//!   leave behind needs them.
//! - A listing's count (Neon) is asked beside its pages; when they disagree
//!   both are read once more.

#![recursion_limit = "256"]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::print_stdout,
        reason = "a test that fails should say where"
    )
)]

pub mod boxes;
pub mod call;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod doctor;
pub mod evidence;
pub mod gc;
pub mod github;
pub mod journal;
pub mod kinds;
pub mod model;
pub mod policy;
pub mod report;
pub mod restore;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod scan;
pub mod survey;
pub mod sweep;
pub mod tui;
pub mod wire;
