//! preview-gc: a garbage collector for preview environments.
//!
//! The crate lists the resources of the providers, finds the roots that keep them
//! alive, marks the rest, makes a plan and deletes what the plan names. A sweep
//! re-checks every step and may delete less than the plan, never more.
//!
//! # Glossary
//!
//! - **root**: keeps resources alive: an open pull request, an existing git
//!   branch, an unfinished Actions run, a `protect` entry.
//! - **claim**: what a resource belongs to according to its name: a pull request,
//!   a git branch, the slug of a branch, a run, or only itself.
//! - **reference**: one resource uses another: a Worker binds a namespace, a branch
//!   has a parent, a custom domain manages a DNS record.
//! - **evidence**: a request, its answer, and whether the answer was complete.
//! - **verdict**: what happens to a resource, with the reason.
//! - **plan**: the steps of a sweep, up to the maximum. A **plan file** is a plan
//!   with a digest.
//! - **audit**: the targets of one run, what was listed there, its roots, verdicts,
//!   plan and brakes ([`collector::Audit`]). Every command begins with one. A
//!   [`survey::Survey`] is how it was judged, and refreshes parts of it just before a
//!   deletion.
//! - **outcome**: the result of a step. **journal**: records each deletion before
//!   it is sent, with a backup of the resource, and its outcome.
//!
//! # Data flow
//!
//! ```text
//! argv, env, policies/  -> Limits + Policies               cli::settings, limits, policy
//! credentials           -> Transport: real HTTP | sandbox  cli::connect (the only fork)
//! all of these          -> Collector                       cli::session
//! kinds x Client        -> Inventory                       providers, scan
//! Inventory's claims    -> Roots: what is alive            roots (open pull requests, git branches)
//! claims, Roots         -> claims without a living root    gc::mark (pure)
//! those claims          -> Roots: how each ended           roots (by number, by head, runs)
//! Inventory, Roots      -> Marking                         gc::mark (pure)
//! Marking's questions   -> Uses -> mark again              scan::answer
//! Marking               -> Plan, brakes                    gc::plan, gc::brakes (pure)
//! Plan                  -> PlanFile                        gc::plan_file (pure)
//! PlanFile              -> Outcomes                        sweep, journal
//! all of these          -> Report -> renderers             report (pure)
//! from Inventory to Report -> Audit                        collector
//! Report, issue before  -> text -> issue                   tracking_issue
//! ```
//!
//! The first mark runs before any reference is known. It returns the *questions*
//! whose answers can change a verdict, so the settings of a Worker are read only
//! where they matter. Mark runs again with the answers until no question is left.
//! If a question cannot be answered, the resource is unknown and is kept.
//!
//! A sweep runs the same functions again. Before it sends a deletion, it re-lists
//! the kinds concerned, re-reads their pull requests and marks again
//! ([`survey::Survey::refresh`]). It takes a step only if the resource is unchanged
//! and still garbage ([`gc::outcome::recheck`]). A resource that could not be
//! deleted is marked as staying, so the resources it uses are kept too.
//!
//! # Modules
//!
//! - [`model`], [`evidence`]: plain values. [`call`]: a request as a value.
//!   [`progress`]: the events of a run. `format`: times as text.
//! - [`limits`]: every limit with its flag, variable, key, default and help, in one
//!   table. A flag takes precedence over the environment, the policy and the default.
//! - [`policy`]: the owner's rules, validated, with their positions in the file.
//! - [`gc`]: mark, plan, brakes, recheck. It does no I/O, reads no clock and names no
//!   kind: [`model::KindAbout`] describes one kind, and [`gc::kind_graph`] describes
//!   which kinds use, own, manage and block which others.
//! - [`tracking_issue`]: the issue in which runs report and people check boxes:
//!   text, hidden state, publishing. [`boxes`] are parsed where the issue is fetched,
//!   in [`roots::github::issue`].
//! - [`kind`]: what a kind of resource can do. Every kind is listed, read and
//!   deleted; what only some can do is a capability ([`kind::Kind`] returns it).
//! - [`providers`]: one file for each provider, with everything that is true of its
//!   API ([`providers::Provider`]), and one file for each of its kinds below. A kind
//!   lists its possible users in [`model::KindAbout::used_by`]; without that list its
//!   resources are never deleted. Users that are not kinds themselves (Pages
//!   projects, dispatch namespaces) are [`providers::sources()`]. A new kind is its
//!   file, two lines in its provider's file, and its product in the sandbox;
//!   `.github/CONTRIBUTING.md` lists what else knows kinds by name, and which test
//!   fails without it.
//! - [`wire`]: transport, quotas, retries, tokens, signed addresses. [`clock`]: the
//!   time.
//! - [`scan`], [`roots`]: all reads. `roots` decides which questions a forge is asked
//!   and which answers are accepted; [`roots::github`] is the only forge.
//!   `scan::uses` reads the references of single resources within the limits of a
//!   run; [`journal::reads`] holds the references that earlier runs read; [`survey`]
//!   decides what is read, and when.
//! - [`sweep`], [`journal`]: all deletions and their records.
//! - [`collector`]: one run, built from all of these. `doctor`: the run that `check`
//!   makes, and a list of what it could not try.
//! - [`init`]: infers policies from what exists, from the times of pull requests and
//!   from the repository's workflows; pure.
//! - [`report`]: the output for people and programs. [`report::json`] owns the public
//!   JSON, [`mod@report::format`] lists the formats. [`model::code`] declares the stable
//!   codes of doubts, gaps, brakes, failures and remarks on policies.
//! - [`cli`]: arguments, environment, consent, exit codes.
//! - [`tui`]: state and rendering of the interactive audit; [`cli`] runs it.
//! - `sandbox`: a stand-in cloud, written from the providers' documentation, behind
//!   the default feature `sandbox`.
//!
//! # Import rules
//!
//! `tests/it/layering.rs` reads the sources and fails when a rule is broken: `limits`,
//! `format`, `model`, `evidence`, `progress`, `policy` and `gc` import neither I/O nor
//! kinds; kinds never import each other, nor providers one another; the sandbox
//! imports nothing of the collector; only `cli` reads arguments and the environment
//! and writes to a terminal; modules never import each other in a circle.
//!
//! # Design decisions
//!
//! Roots and claims:
//!
//! - The collector reads open pull requests and branches first, and looks up how a
//!   claim ended only if no living root matches it: a busy repository has far more
//!   closed pull requests than open ones.
//! - Where an answer is ambiguous, the later time counts. An incomplete date in a
//!   name means the latest possible date; an age on `merged` counts from the last
//!   pull request with that head. An existing branch keeps its resources in any case.
//! - Every Actions run is looked up by its id, whatever the age of the resource: a
//!   re-run keeps its id, and a small number in a name is rarely a run.
//! - [`policy::Rules`] indexes the rules by the start of the names they match, so
//!   a thousand rules cost little more per name than the one that matches.
//! - Several rules may match the same name; a resource is garbage only if all of them
//!   say so. `check` shows a name that they share, and `protect` entries that
//!   cover no name any rule could match.
//! - Redirects are never followed: a token stays at its host, and a renamed
//!   repository is never mistaken for the one in the policy.
//! - A number without a pull request is `unknown` with its own reason. The run is
//!   still complete, because "not found" is an answer.
//! - A number in a name counts only together with time (`gc::mark::birth`). A resource
//!   created outside the lifetime of its pull request is `unknown`, and so is one
//!   without a creation time that shares the number. Records made at creation (Neon's
//!   annotations, the source of a Pages deployment) must agree with the name.
//! - The tracking issue is a root: every command keeps the resources whose checkbox
//!   "keep" is checked, and an issue that cannot be read stops every deletion.
//! - A resource that `restore` brought back stays until it is released.
//!
//! Relations between resources:
//!
//! - An unmatched resource that belongs to another ([`model::KindAbout::belongs_to`]:
//!   custom domains, routes and Previews to their Worker, deployments to their
//!   environment) is judged with its owner, also by its own clocks, and is deleted
//!   before it. If it is kept for its own sake, its owner is kept too.
//! - What a Worker makes and leaves behind ([`model::KindAbout::satellite_of`]) is
//!   listed only for rules that name it, and goes after the Worker. One that no rule
//!   matches is judged with its Worker if the rule of that lists its kind under
//!   `with`, also once the Worker is gone: if this run deleted it, as it was; otherwise by
//!   its name, where the provider still says it ([`gc::mark::gone_makers`]). A pull
//!   request that is opened again keeps it.
//! - Of some satellites a user source alone shows what made them
//!   ([`model::KindAbout::maker_shown_by`]), and nothing once that is gone. Their maker
//!   stays if this cannot be read, if one that no other rule matches stays, or if a
//!   run has no room for it.
//! - A resource that this run does not delete, garbage or not, keeps what it uses,
//!   so its references are read ([`gc::mark::JudgeInput::to_delete`]).
//! - A Worker uses what its settings and each version that it serves bind. If these
//!   cannot be read, or a binding has an unknown type, everything it may use is kept.
//! - A Worker is deleted only in a run that also deletes the queues it consumes. If
//!   Workers bind each other, one of them loses its binding first; the plan says so.
//! - Something that must go first (the consumer of a queue before its Worker) is
//!   removed only after the provider refused the deletion because of it.
//!
//! Listing and scope:
//!
//! - A kind is listed only if a rule or a `protect` entry can concern it, directly or
//!   through its dependents. Kinds listed by holder (Pages projects, Workers with
//!   Previews) are re-read only where something is about to be deleted, and the
//!   deployments of an environment are listed only if the environment would be deleted.
//! - A `protect` entry holds for all files of a run and for every place. A rule or an
//!   entry that names a zone or project outside the scope is refused before any
//!   request. If the scope has a zone by id and the policy by name, it is refused
//!   after the look-up of zones, before anything is listed.
//! - [`model::identifier`] compares repositories, accounts, zones and host names in one
//!   normal form; a value that is not well-formed is neither sent nor printed.
//! - If an account has more Workers than one run may read, several runs read them. An
//!   earlier run's answer counts only if the listings prove that the serving versions
//!   are the same; the latest version is always re-read (one request instead of
//!   three). Just before a deletion, what changed since this run began is never
//!   taken from an earlier run.
//! - Resources without a change time are compared by digests of their attributes and
//!   references (`gc::listed`), in plan files too.
//! - A listing's count (Neon) is requested beside its pages; if the two disagree, both
//!   are re-read once.
//!
//! Plans, deletions and the report:
//!
//! - An undecided resource takes no place in a plan.
//! - The plan is ordered by group: what died first goes first, with everything of the
//!   same pull request, users before what they use. A maximum therefore never leaves
//!   a Worker whose namespace is gone. A step that depends on one beyond the maximum
//!   gives up its place.
//! - A request counts against the quota until one window after its *answer*. The
//!   provider counted it no later than that, so no window holds more than the share,
//!   whatever the latency.
//! - A deletion waits for the quota only while its evidence is fresh
//!   ([`wire::Client::write`]); then it is withdrawn and everything is re-read. After
//!   three such rounds in a row the lane gives up, because re-reads alone use up
//!   the quota.
//! - A backup is a state machine without I/O ([`kind::Backup`]): it asks for requests to
//!   the API, with pauses, and for downloads from addresses that the provider signs
//!   ([`call::Transfer`]). Such an address is a secret: it gets no token, and it is in no
//!   message and no journal. A backup that is used later than it was made is compared
//!   with the resource again, where the provider shows a difference.
//! - There is no `force` and no `hard_delete` option: nothing that previews leave
//!   behind needs one.
//! - A leak leaves the issue only if its kind was listed completely in its place,
//!   without `--pr` or `--kind`. A run carries over what it did not list, including
//!   its checkboxes, from the text of the issue ([`tracking_issue::leak`]). The
//!   hidden block does not repeat the words: they would fill half of the issue.

#![recursion_limit = "256"]
#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::print_stdout,
        reason = "a test case is read in one go, and one that fails should say where"
    )
)]

pub mod boxes;
pub mod call;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod doctor;
pub mod evidence;
mod format;
pub mod gc;

pub mod init;
pub mod journal;
pub mod kind;
pub mod limits;
pub mod model;
pub mod policy;
pub mod progress;
pub mod providers;
pub mod report;
pub mod restore;
pub mod roots;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod scan;
pub mod survey;
pub mod sweep;
pub mod tracking_issue;
pub mod tui;
pub mod wire;
