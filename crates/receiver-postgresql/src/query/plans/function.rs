//! Plans by a function of the database, `dbintel.explain`, with the rights of its owner: our role then needs none on any
//! table. A DBA installs it with [`create_script`] and removes it with [`drop_script`].
//!
//! What the function promises, whoever calls it (`function.sql`): it plans and runs nothing, it undoes what it did, it logs
//! nothing, and it refuses texts by which planning could run a function that is neither the server's nor an extension's.
//! It is used only where its body is the one that this program prints: another one could do anything with our texts.

use std::sync::{Arc, LazyLock};

use dbintel_model::PlanRung;
use sqlx::Arguments as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::preflight::PREFLIGHT;
use super::{DONE, Explained, ObtainedPlan, Planned, Session, generic};
use crate::query::error::QueryError;
use crate::query::meter::Select;
use crate::query::sql::{arguments, identifier, literal};
use crate::state::plans::MissingPlan;

/// Asks it. What it is, and what it gives, is in `function.sql`.
pub(super) const CALL: &str = "SELECT e.code, octet_length(e.plan)::int8, \
     CASE WHEN octet_length(e.plan) <= 1048576 THEN e.plan END FROM dbintel.explain($1, $2, $3) e";
/// What its own refusals begin with; [`DONE`] does as well.
const OWN_CODES: &str = "DBI";
/// Its refusal because planning could run a function or ask another server. It is not planned in another way then.
const COULD_RUN: &str = "DBI04";
/// The role that the scripts make its owner.
const OWNER: &str = "dbintel_explain";
/// Characters of a line of the query that is shared with [`PREFLIGHT`], without its indentation.
const LINE_CHARS: usize = 110;
/// What stands before such a line.
const INDENTATION: &str = "            ";

/// What of it is in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanFunction {
    /// It can be used.
    Usable,
    /// Its body or a property is another one than that of this program.
    Different,
    /// Its owner is a superuser, with whose rights nothing is planned.
    OfSuperuser,
    /// Our role may not execute it.
    NotGranted,
}

/// Its body, as the server keeps it.
static BODY: LazyLock<String> =
    LazyLock::new(|| include_str!("function.sql").replace("{preflight}", &preflight()));
/// That of `dbintel.explain_value`.
const VALUE_BODY: &str = include_str!("value.sql");

/// SQL that installs the function in a database, for this role of the collector.
#[must_use]
pub fn create_script(collector: &str) -> String {
    script(include_str!("function_create.sql"), collector)
}

/// SQL that removes it.
#[must_use]
pub fn drop_script(collector: &str) -> String {
    script(include_str!("function_drop.sql"), collector)
}

/// Whether these are the bodies of our functions, in the order of their names.
pub(in crate::query) fn are_bodies(sources: &str) -> bool {
    sources.strip_prefix(BODY.as_str()) == Some(VALUE_BODY)
}

fn script(text: &str, collector: &str) -> String {
    text.replace("{body}", &BODY)
        .replace("{value_body}", VALUE_BODY)
        .replace("{owner}", OWNER)
        .replace("{owner_name}", &literal(OWNER))
        .replace("{collector}", &identifier(collector))
}

/// [`PREFLIGHT`] with the variables of the function for what is bound, in lines.
fn preflight() -> String {
    let variables = [("$1", "names"), ("$2", "operators"), ("$3", "schemas")];
    let text = variables.iter().fold(PREFLIGHT.to_owned(), |text, (from, to)| text.replace(from, to));
    let mut lines = vec![INDENTATION.to_owned()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= INDENTATION.len() + LINE_CHARS => {
                line.push_str(word);
                line.push(' ');
            }
            _ => lines.push(format!("{INDENTATION}{word} ")),
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

impl Session<'_> {
    /// Asks the function, if there is one; `None` if it is not there or cannot tell what the text is. It sees less of
    /// a text than we do, and so it is more careful.
    pub(super) async fn explain_by_function(
        &mut self,
        text: &str,
        parameters: u32,
        path: &str,
    ) -> Result<Option<Explained>, QueryError> {
        if self.facts.plan_function != Some(PlanFunction::Usable) {
            return Ok(None);
        }
        let of_text = if parameters == 0 { PlanRung::Generic } else { generic(self.facts.version_number).1 };
        let rung = self.rung.unwrap_or(of_text);
        let arguments = arguments(|arguments| {
            arguments.add(text)?;
            arguments.add(i32::try_from(parameters).unwrap_or(i32::MAX))?;
            arguments.add(path)
        })?;
        let mut answer = None;
        let take = |row: &PgRow| {
            let code: String = row.try_get(0)?;
            answer = match code.as_str() {
                DONE => {
                    let plan: Option<String> = row.try_get(2)?;
                    Some(plan.ok_or(MissingPlan::PlanTooLarge))
                }
                COULD_RUN => Some(Err(MissingPlan::Function)),
                refused if refused.starts_with(OWN_CODES) => None,
                failed => Some(Err(MissingPlan::of_sqlstate(failed))),
            };
            Ok(())
        };
        self.connection.stream("a plan", self.limits, Select::always(CALL), arguments, take).await?;
        let planned = || Planned(Arc::new((text.to_owned(), parameters, path.to_owned())));
        let planned = (parameters > 0).then(planned);
        let judged = answer.map(|answer| answer.and_then(|plan| self.judge(plan, rung)));
        Ok(judged.map(|judged| judged.map(|plan| ObtainedPlan { planned, ..plan })))
    }
}
