//! zPages: what a person looks at when something is wrong.
//!
//! `/debug/servicez` the process, `/debug/pipelinez` the flow from receivers to exporters and what is missing,
//! `/debug/findingz` the findings that wait, `/debug/queryz` the statements that lose or take the most time, `/debug/planz` the plans of
//! statements,
//! `/debug/extensionz` the admin endpoints, `/debug/tracez` recent, slow and failed spans of dbintel itself.
//!
//! Promises:
//! * plain HTML, all text escaped, one small inline stylesheet, no scripts, nothing loaded from elsewhere;
//! * a page has at most [`PAGE_BYTES_MAX`] bytes and says so where it was cut;
//! * a lane that does not answer within [`ANSWER_TIME_MAX`] is shown as such, and the rest of the page with it.

mod ask;
mod extensionz;
mod findingz;
mod format;
mod html;
mod pipelinez;
mod planz;
mod queryz;
mod redact;
mod series;
mod servicez;
mod source;
mod tracez;
mod verifiers;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;

use crate::AdminContext;
use crate::server::AdminAddresses;

pub use ask::{ANSWER_TIME_MAX, LaneAsker, LaneQuestions, LaneReplies, QUESTIONS_MAX, lane_questions};
pub use findingz::{FINDING_SERVERS_MAX, FINDINGS_IN_FULL_MAX, FINDINGS_LISTED_MAX, WATCHED_LISTED_MAX};
pub use html::{CHART_POINTS_MAX, PAGE_BYTES_MAX};
pub use pipelinez::DETAILS_MAX;
pub use planz::{PLANS_LISTED_MAX, SERVERS_MAX};
pub use queryz::{QUERY_SERVERS_MAX, STATEMENTS_LISTED_MAX};
pub use redact::redact_command_line;
pub(crate) use series::{Sample, SeriesIndex};
pub use source::{ExporterLink, PageSource, PipelineView, ServiceView};

#[derive(Clone)]
struct Pages {
    addresses: Arc<OnceLock<AdminAddresses>>,
    cx: AdminContext,
}

/// What a link of a page can ask for.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    receiver: Option<String>,
    span: Option<String>,
    bucket: Option<usize>,
    statement: Option<String>,
    finding: Option<String>,
}

/// `addresses` is filled once every endpoint is bound.
pub(crate) fn router(addresses: Arc<OnceLock<AdminAddresses>>, cx: AdminContext) -> Router {
    let pages = Pages { addresses, cx };
    Router::new()
        .route("/", get(start))
        .route("/debug", get(start))
        .route("/debug/", get(start))
        .route("/debug/servicez", get(service))
        .route("/debug/pipelinez", get(pipelines))
        .route("/debug/findingz", get(findings))
        .route("/debug/queryz", get(statements))
        .route("/debug/planz", get(plans))
        .route("/debug/extensionz", get(extensions))
        .route("/debug/tracez", get(traces))
        .fallback(elsewhere)
        .with_state(pages)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn start() -> Redirect {
    Redirect::temporary("/debug/servicez")
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn service(State(pages): State<Pages>) -> Html<String> {
    Html(servicez::page(&pages.cx))
}

async fn pipelines(State(pages): State<Pages>, wanted: Query<Wanted>) -> Html<String> {
    Html(pipelinez::page(&pages.cx, wanted.receiver.as_deref()).await)
}

async fn findings(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Html<String> {
    Html(findingz::page(&pages.cx, wanted.receiver.as_deref(), wanted.finding.as_deref()).await)
}

async fn statements(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Html<String> {
    Html(queryz::page(&pages.cx, wanted.receiver.as_deref()).await)
}

async fn plans(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Html<String> {
    Html(planz::page(&pages.cx, wanted.receiver.as_deref(), wanted.statement.as_deref()).await)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn extensions(State(pages): State<Pages>) -> Html<String> {
    Html(extensionz::page(pages.addresses.get().copied().unwrap_or_default(), &pages.cx))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn traces(State(pages): State<Pages>, Query(wanted): Query<Wanted>) -> Html<String> {
    Html(tracez::page(&pages.cx, wanted.span.as_deref(), wanted.bucket))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn elsewhere() -> Response {
    let text = "no such page; there are /debug/servicez, /debug/pipelinez, /debug/findingz, /debug/queryz, /debug/planz, \
                /debug/extensionz and /debug/tracez.\n\
                Feature gates (/debug/featurez) and expvars do not exist in dbintel.\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests;
