//! `dbintel.change` back to a change.

use dbintel_model::{Attribute as Fact, Change, ChangeKind, Text};

use crate::attributes::Attribute;
use crate::counts::PassedOver;
use crate::fields::Field;

/// The change of these attributes. What is none of its own is a fact, as it was.
pub(crate) fn change(attributes: &[Attribute<'_>]) -> Result<Change, PassedOver> {
    let kind = attributes.iter().find(|attribute| attribute.field == Field::ChangeKind);
    let kind = kind.and_then(|attribute| attribute.value.text());
    let kind = kind.ok_or(PassedOver::Incomplete("dbintel.change.kind"))?;
    let kind = ChangeKind::ALL.into_iter().find(|known| known.as_str() == kind);
    let mut change = Change::new(kind.ok_or(PassedOver::UnknownChange)?);
    for attribute in attributes {
        let value = attribute.value;
        let text = || value.text().map(|text| Text::from(text.into_owned()));
        match attribute.field {
            Field::ChangeKind => {}
            Field::ChangeTime => change.at = value.time(),
            Field::ChangeNotBefore => change.not_before = value.time(),
            Field::Namespace => change.database = text(),
            Field::Subject => change.subject = text(),
            Field::Before => change.before = text(),
            Field::After => change.after = text(),
            _ => {
                let key = String::from_utf8_lossy(attribute.key).into_owned();
                change.facts.extend(value.owned().map(|value| Fact { key: key.into(), value }));
            }
        }
    }
    Ok(change)
}
