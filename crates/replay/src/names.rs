//! Names that many records share: of databases, roles, states, waits.

use std::collections::HashMap;

use dbintel_model::Text;

use crate::json::Raw;

/// Names that are remembered; with one more, all are forgotten, which costs copies and nothing else.
pub const NAMES_MAX: usize = 16_384;

/// By the name as it stands in the line.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<Box<[u8]>, Text>,
}

impl Names {
    pub(crate) fn get(&mut self, raw: Raw<'_>) -> Text {
        if let Some(known) = self.known.get(raw.bytes) {
            return known.clone();
        }
        if self.known.len() >= NAMES_MAX {
            self.known.clear();
        }
        let text = Text::from(raw.text().into_owned());
        self.known.insert(raw.bytes.into(), text.clone());
        text
    }
}
