//! What the validation of a component has to say about its settings.

/// Something wrong, or worth saying, about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Dotted path of the field below the component.
    pub field: String,
    /// What is wrong, or what follows from it, and what to write instead.
    pub message: String,
}

/// A valid configuration, and what is worth saying about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated<T> {
    /// The configuration.
    pub config: T,
    /// Keys without an effect, and risks taken on purpose.
    pub notices: Vec<Complaint>,
}

/// Collects while the fields are looked at, so that every mistake is named at once.
#[derive(Debug, Default)]
pub struct Checks {
    errors: Vec<Complaint>,
    notices: Vec<Complaint>,
}

impl Checks {
    /// An error: the configuration is refused.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(Complaint { field: field.to_owned(), message: message.into() });
    }

    /// An error that two ways of looking at a field can find.
    pub fn error_once(&mut self, field: &str, message: &str) {
        if !self.errors.iter().any(|error| error.field == field) {
            self.error(field, message);
        }
    }

    /// A notice: worth a warning.
    pub fn notice(&mut self, field: &str, message: impl Into<String>) {
        self.notices.push(Complaint { field: field.to_owned(), message: message.into() });
    }

    /// An error for a key that is written and that we cannot honour.
    pub fn unsupported<T>(&mut self, field: &str, value: Option<&T>, message: &str) {
        if value.is_some() {
            self.error(field, format!("not supported: {message}"));
        }
    }

    /// A notice for a key that is written and has no effect.
    pub fn ignored<T>(&mut self, field: &str, value: Option<&T>, message: &str) {
        if value.is_some() {
            self.notice(field, format!("has no effect: {message}"));
        }
    }

    /// The configuration, if all that was needed is there and nothing was wrong.
    ///
    /// # Errors
    /// All errors that were found.
    pub fn finish<T>(self, config: Option<T>) -> Result<Validated<T>, Vec<Complaint>> {
        match config {
            Some(config) if self.errors.is_empty() => Ok(Validated { config, notices: self.notices }),
            _ => Err(self.errors),
        }
    }
}
