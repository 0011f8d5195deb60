//! Resources whose open pull request has lost the label that previews need.

use super::super::super::verdict::{Alive, Cause, Death, Doubt, Verdict};
use super::Owner;
use crate::evidence::{PullRequest, RepositoryRoots};
use crate::model::{Claim, Resource};

/// Returns how a resource died by a label that its open pull request has lost, or
/// what keeps it; none where the pull request is not open.
pub(super) fn lost_label(
    resource: &Resource,
    label: &str,
    roots: Option<&RepositoryRoots>,
    owner: &Owner<'_>,
) -> Option<Result<Death, Verdict>> {
    let (number, PullRequest::Open { labels, .. }) = owner.pull_request()? else {
        return None;
    };
    if labels.has(label) {
        let label = label.into();
        return Some(Err(Verdict::Live(Alive::Labelled { number, label })));
    }
    let not_told = |why| {
        let claim = Claim::PullRequest(number);
        Some(Err(Verdict::Unknown(Doubt::NotAnswered { claim, why })))
    };
    let lost = match roots.and_then(|roots| roots.lost_labels.get(&number)) {
        Some(Ok(lost)) => lost,
        Some(Err(why)) => return not_told(why.clone()),
        None => return not_told("when it lost a label was not asked for".into()),
    };
    let Some(at) = lost.last(label) else {
        if lost.has_more {
            return not_told("it lost more labels than one answer shows".into());
        }
        // A label that was never there says nothing about a preview that was made.
        let label = label.into();
        return Some(Err(Verdict::Live(Alive::NeverLabelled { number, label })));
    };
    let own = resource.created_at.known().max(resource.changed_at.known());
    Some(Ok(Death {
        cause: Cause::LabelLost {
            number,
            label: label.into(),
            at,
        },
        dead_since: Some(at).max(own),
        grace_ends_at: None,
        report_only: false,
    }))
}
