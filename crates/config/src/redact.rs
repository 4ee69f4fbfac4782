//! What must not be shown, judged by the name of the key and by the look of the text.
//!
//! This crate does not know the types of components, so it guesses, and prefers to hide too much. Three
//! rules, from wide to narrow: [`is_guarded`] for errors, [`is_secret`] for the printed configuration,
//! [`wants_reference`] for the warning that a secret is written inline.

pub(crate) mod tree;

pub(crate) use crate::values::REDACTED;

/// Words that make the key a secret wherever they stand in it: `db_password`, `bearerToken`.
const SECRET_WORDS: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    "authorization",
    "apikey",
    "bearer",
    "cookie",
    "pem",
    "dsn",
    "passwords",
];

/// Last words of keys that measure or name a secret and are none: `token_ttl`, `password_file`.
const HARMLESS_LAST_WORDS: [&str; 20] = [
    "file", "path", "dir", "size", "count", "limit", "max", "min", "bucket", "rate", "interval", "ttl",
    "timeout", "ms", "seconds", "bytes", "enabled", "type", "length", "name",
];

/// Words before `key` that make it a name of something, not a secret.
const PUBLIC_KEYS: [&str; 8] =
    ["primary", "foreign", "partition", "sort", "cache", "metadata", "attribute", "public"];

/// Whether the values below this key are headers, all of which may be secrets.
pub(crate) fn is_headers(key: &str) -> bool {
    words(key).last().is_some_and(|word| word == "headers")
}

/// Whether an error may not show the value of this key.
pub(crate) fn is_guarded(key: &str) -> bool {
    let words = words(key);
    let has_key = words.iter().any(|word| matches!(word.as_str(), "key" | "keys"));
    has_key || is_headers(key) || words.iter().any(|word| is_secret_word(word))
}

/// Whether the printed configuration may not show the value of this key.
pub(crate) fn is_secret(key: &str) -> bool {
    let words = words(key);
    let Some(last) = words.last() else { return false };
    if HARMLESS_LAST_WORDS.contains(&last.as_str()) {
        return false;
    }
    words.iter().any(|word| is_secret_word(word))
        || ends_in_secret_key(&words)
        || is_connection_string(&words)
}

/// Whether the value of this key should be a reference: surely a secret, not only perhaps.
pub(crate) fn wants_reference(key: &str) -> bool {
    let words = words(key);
    let ends_in_word = words.last().is_some_and(|word| is_secret_word(word) && word != "pass");
    ends_in_word || (ends_in_secret_key(&words) && words.len() > 1)
}

/// Whether the text itself gives away that it holds a secret, whatever its key.
pub(crate) fn looks_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let assigns = [
        "password=",
        "passwd=",
        "pwd=",
        "secret=",
        "token=",
        "apikey=",
        "api_key=",
        "api-key=",
        "accountkey=",
    ];
    let starts = ["bearer ", "basic ", "-----begin "];
    let squeezed = lower.replace(" =", "=");
    assigns.iter().any(|mark| squeezed.contains(mark))
        || starts.iter().any(|mark| lower.trim_start().starts_with(mark))
        || lower.contains("private key-----")
        || has_user_info(text)
}

/// `user:pass@host`, as in connection URLs.
fn has_user_info(text: &str) -> bool {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    match after_scheme.rsplit_once('@') {
        Some((user, host)) => user.contains(':') && !host.is_empty(),
        None => false,
    }
}

/// Whether a reference names a variable that sounds like a secret: `${env:PGPASSWORD}`.
pub(crate) fn names_secret(reference: &str) -> bool {
    const PARTS: [&str; 11] = [
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "apikey",
        "_key",
        "credential",
        "dsn",
        "license",
        "passphrase",
    ];
    let lower = reference.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
}

fn is_secret_word(word: &str) -> bool {
    let has = |part: &str| word.contains(part);
    SECRET_WORDS.contains(&word) || has("password") || has("passwd") || has("passphrase") || has("secret")
}

/// `api_key`, `privateKey`, `key_pem`; not `key` alone, not `partition_key`.
fn ends_in_secret_key(words: &[String]) -> bool {
    let keys = |word: &String| matches!(word.as_str(), "key" | "keys");
    match words {
        [.., before, last] if keys(last) => !PUBLIC_KEYS.contains(&before.as_str()),
        _ => false,
    }
}

fn is_connection_string(words: &[String]) -> bool {
    matches!(words, [.., first, last] if first == "connection" && matches!(last.as_str(), "string" | "uri" | "url"))
}

/// The lower-case words of a key: `dbPassword`, `db-password` and `db_password` have the same two.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in key.chars() {
        let starts_word = !c.is_alphanumeric() || (c.is_uppercase() && after_lower);
        if starts_word {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_are_hidden_in_print() {
        for key in [
            "password",
            "db_password",
            "dbPassword",
            "PGPASSWORD",
            "client-secret",
            "bearer_token",
            "api_key",
            "api-key",
            "apikey",
            "x-api-key",
            "license_key",
            "private_key",
            "privateKey",
            "key_pem",
            "authorization",
            "Authorization",
            "cookie",
            "connection_string",
            "dsn",
            "sasl_passphrase",
            "credentials",
        ] {
            assert!(is_secret(key), "{key}");
            assert!(is_guarded(key) || is_secret(key), "{key}");
        }
    }

    #[test]
    fn harmless_keys_are_shown_in_print() {
        for key in [
            "endpoint",
            "password_file",
            "key_file",
            "token_ttl",
            "token_bucket_size",
            "max_tokens",
            "partition_key",
            "metadata_keys",
            "key",
            "username",
            "passthrough",
            "compass",
            "bypass",
            "tokenizer",
            "monkey",
        ] {
            assert!(!is_secret(key), "{key}");
            assert!(!wants_reference(key), "{key}");
        }
    }

    #[test]
    fn text_gives_itself_away() {
        for text in [
            "postgres://app:hunter2@db/app",
            "app:hunter2@db",
            "host=db password=hunter2",
            "Server=db;Pwd=hunter2",
            "host=db password = x",
            "Bearer abc",
            "basic dXNlcg==",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(looks_secret(text), "{text}");
        }
        for text in ["localhost:5432", "postgres://db/app", "a@b", "ops@example.com", "10:30", ""] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
