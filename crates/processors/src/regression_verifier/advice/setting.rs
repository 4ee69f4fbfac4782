//! A setting that was changed: taken back where it was changed, or, where a value is known to go back to, for no more than the role of the
//! statement in its database.
//!
//! | it was changed for | forward | rollback |
//! |---|---|---|
//! | the server, or every role | `ALTER ROLE … IN DATABASE … SET`, the value before | `RESET` there |
//! | the role, which had a value before | the same | `RESET` there |
//! | the role, which had none of its own | `ALTER ROLE … RESET` | `SET` there, the value since |
//! | the database, or the role in the database | `SET` there, the value before, or `RESET` where it had none | `SET` or `RESET` there, as it is since |

use super::Remedy;
use super::quote::{self, identifier};
use crate::regression_verifier::events::Event;
use crate::regression_verifier::statement::About;

const NOT_KNOWN: &str = "the value the setting had before, or has now, is not known in full.";

pub(super) fn take_back(event: &Event, about: &About) -> Result<Remedy, &'static str> {
    let name = event.subject.as_deref().filter(|name| quote::is_setting(name));
    let name = name.ok_or("the name of the setting is unusual.")?;
    if !event.is_of(&about.key) {
        return Err("the setting was changed for another role or database.");
    }
    let role = identifier(&about.key.user).ok_or("the name of the role cannot be quoted.")?;
    let database = identifier(&about.key.database).ok_or("the name of the database cannot be quoted.")?;
    let (before, since) = (event.before.as_deref(), event.after.as_deref());
    let in_database = format!("ALTER ROLE {role} IN DATABASE {database}");
    let everything =
        |who: &str| format!("Everything {who} is planned by the former value, and some of it gets slower.");
    let of_role_in_database = || everything("this role does in this database");
    let (target, since, worst_case, failure_mode) = match (&event.role, &event.database) {
        (None, None) if before.is_none() => return Err(NOT_KNOWN),
        (None, None) => (in_database, None, of_role_in_database(), ONLY_FOR_SERVERS),
        (Some(_), None) if before.is_some() => (in_database, None, of_role_in_database(), OWN_VALUE),
        (Some(_), None) => {
            (format!("ALTER ROLE {role}"), since, everything("this role does in any database"), ON_PURPOSE)
        }
        (Some(_), Some(_)) => (in_database, since, of_role_in_database(), ON_PURPOSE),
        (None, Some(_)) => {
            let everything = everything("that is done in this database");
            (format!("ALTER DATABASE {database}"), since, everything, ON_PURPOSE)
        }
    };
    let assigned = |value: Option<&str>| -> Result<String, &'static str> {
        let Some(value) = value else { return Ok(format!("{target} RESET {name};")) };
        let value = quote::value(name, value).ok_or(NOT_KNOWN)?;
        Ok(format!("{target} SET {name} = {value};"))
    };
    Ok(Remedy {
        forward: assigned(before)?,
        rollback: assigned(since)?,
        worst_case,
        failure_modes: vec![
            "Only new connections take it; pools have to be renewed.".to_owned(),
            failure_mode.to_owned(),
        ],
    })
}

const ONLY_FOR_SERVERS: &str = "Some settings can only be set for the whole server; the script then fails and changes nothing. A value the \
                                role had of its own in this database is lost; note it before.";
const OWN_VALUE: &str = "A value the role had of its own in this database is lost; note it before.";
const ON_PURPOSE: &str = "It was changed on purpose: find out why before.";
