//! What the provider answered to a request of a step, before anything is re-read.

use ::http::{Method, Response, StatusCode};
use bytes::Bytes;

use super::Sweep;
use crate::call::Call;
use crate::gc::Outcome;
use crate::kind::DeletionRefusal;
use crate::policy::Action;
use crate::providers;
use crate::wire::{ApiError, error};

/// The answer to a request.
#[derive(Clone)]
pub(super) enum SendResult {
    /// It was accepted.
    Accepted,
    /// Nothing has that id.
    NotThere(String),
    /// It was refused.
    Refused(Outcome, String),
    /// It was refused, but not in words of the API that show the resource: what
    /// answered may stand between us and a provider that carried it out.
    Denied(Outcome, String),
    /// It was refused because a required earlier request is missing.
    Premature(String),
    /// Some of what has to precede it was done, and the rest needs another try.
    Interrupted(String),
    /// It was sent, and its effect is unknown.
    Lost(String),
    /// It was sent, and the run ended before it was answered: it may still take
    /// effect.
    CutOff(String),
    /// It certainly had no effect.
    NotSent(ApiError),
    /// The provider asked to wait. It probably had no effect.
    Throttled(ApiError),
    /// The run ended before it was sent, for this reason.
    Withheld(&'static str),
}

impl SendResult {
    /// The same for a request that precedes the step's own: it says nothing about
    /// the step's resource.
    pub(super) fn of_another_request(self) -> Self {
        match self {
            Self::Denied(outcome, why) => Self::Refused(outcome, why),
            Self::CutOff(why) => Self::Refused(Outcome::FailedForNow, why),
            Self::Throttled(error) => Self::NotSent(error),
            answer => answer,
        }
    }
}

impl Sweep<'_, '_> {
    /// Says what a response means for a step; `needs` is the permission for the
    /// request.
    pub(super) fn answer(
        &self,
        step: usize,
        call: &Call,
        needs: &str,
        response: &Response<Bytes>,
    ) -> SendResult {
        let status = response.status();
        if call.method == Method::DELETE && providers::of(call.api).found_nothing(status) {
            return SendResult::NotThere("the provider says that it is not there".to_owned());
        }
        if status.is_success() {
            return error::denial(call.api, response).map_or(SendResult::Accepted, |message| {
                let why = format!("answered {status} with a failure inside: {message}");
                SendResult::Denied(Outcome::FailedForNow, why)
            });
        }
        let failure = error::refusal(call.api, response);
        let error = self.survey.client.error(&call.into(), failure);
        if status == StatusCode::LOCKED {
            // Another operation was in progress, so this one was not started.
            return SendResult::NotSent(error);
        }
        let message = error.to_string();
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => SendResult::NotThere(message),
            // No request of such a token has an effect, and none can be answered.
            StatusCode::UNAUTHORIZED => SendResult::Refused(
                Outcome::FailedForGood,
                format!("{message}; it needs {needs}"),
            ),
            StatusCode::FORBIDDEN => SendResult::Denied(
                Outcome::FailedForGood,
                format!("{message}; it needs {needs}"),
            ),
            status if status.is_server_error() => SendResult::Lost(message),
            status => {
                let kind = self.kind(step);
                match kind.map(|kind| kind.refusal(status, response.body())) {
                    // A resource that refuses an expiry once always refuses it.
                    Some(
                        DeletionRefusal::Premature(hint)
                        | DeletionRefusal::Blocked(hint)
                        | DeletionRefusal::NotEmpty(hint),
                    ) if self.action(step) == Action::Expire => SendResult::Refused(
                        Outcome::FailedForGood,
                        format!("{hint}, before it can be given an expiry ({message})"),
                    ),
                    Some(DeletionRefusal::NotEmpty(hint)) if self.steps[step].empty => {
                        SendResult::Premature(format!("{hint} ({message})"))
                    }
                    Some(DeletionRefusal::Premature(hint)) => {
                        SendResult::Premature(format!("{hint} ({message})"))
                    }
                    // Nothing in this run can change that.
                    Some(DeletionRefusal::Blocked(hint)) => {
                        SendResult::Refused(Outcome::FailedForNow, format!("{hint} ({message})"))
                    }
                    Some(DeletionRefusal::Final(Some(hint)) | DeletionRefusal::NotEmpty(hint)) => {
                        SendResult::Refused(Outcome::FailedForGood, format!("{hint} ({message})"))
                    }
                    // Something else was in progress.
                    _ if matches!(status, StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT) => {
                        SendResult::Denied(Outcome::FailedForNow, message)
                    }
                    Some(DeletionRefusal::Final(None)) | None => {
                        SendResult::Denied(Outcome::FailedForGood, message)
                    }
                }
            }
        }
    }
}

/// Turns a step without effect into a failure if earlier requests were already
/// sent for it, and names them.
pub(super) fn with_what_was_done(answer: SendResult, done: &[String]) -> SendResult {
    let (outcome, why) = match answer {
        SendResult::Denied(outcome, why) if !done.is_empty() => {
            let done = done.join(", ");
            return SendResult::Denied(outcome, format!("{why}; done for it before: {done}"));
        }
        SendResult::Throttled(error) if !done.is_empty() => {
            let denied = SendResult::Denied(Outcome::FailedForNow, error.to_string());
            return with_what_was_done(denied, done);
        }
        SendResult::Premature(why) => (Outcome::FailedForNow, why),
        SendResult::Refused(outcome, why) => (outcome, why),
        SendResult::NotSent(error) if !done.is_empty() => {
            (Outcome::FailedForNow, error.to_string())
        }
        SendResult::Withheld(why) if !done.is_empty() => (Outcome::FailedForNow, why.to_owned()),
        answer => return answer,
    };
    if done.is_empty() {
        return SendResult::Refused(outcome, why);
    }
    let done = done.join(", ");
    SendResult::Refused(
        outcome,
        format!("{why}; requests sent for it before: {done}"),
    )
}
