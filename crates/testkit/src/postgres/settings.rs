//! The files that a cluster reads: `postgresql.conf`, `pg_hba.conf`, certificate and key.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::options::{Options, Tls};
use super::user::ServerUser;
use crate::tls::Authority;

/// Ours, before those of the test. Small memory, no sync to disk, and times in UTC; the rest is PostgreSQL's default,
/// because a collector must be tested against what people run.
const BASE: [(&str, &str); 7] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("shared_buffers", "16MB"),
    ("max_connections", "60"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("password_encryption", "scram-sha-256"),
];

/// Everything the server needs in its data directory before its first start.
pub(crate) fn write(
    data: &Path,
    user: ServerUser,
    options: &Options,
    port: u16,
    socket_directory: &Path,
    authority: Option<&Authority>,
) {
    let path = data.join("postgresql.conf");
    let initial = fs::read_to_string(&path).expect("initdb wrote postgresql.conf");
    user.write(&path, initial + &configuration(options, port, socket_directory));
    user.write(&data.join("pg_hba.conf"), host_based_access(options));
    if let Some(authority) = authority {
        let identity = authority.server();
        user.write(&data.join("server.crt"), identity.certificate_pem);
        user.write(&data.join("server.key"), identity.key_pem);
        user.write(&data.join("root.crt"), authority.certificate_pem());
    }
}

/// Appends one setting to a data directory that has been written before.
pub(crate) fn append(data: &Path, user: ServerUser, name: &str, value: &str) {
    let path = data.join("postgresql.conf");
    let before = fs::read_to_string(&path).expect("postgresql.conf");
    user.write(&path, before + &line(name, value));
}

fn configuration(options: &Options, port: u16, socket_directory: &Path) -> String {
    let mut text = String::from("\n# dbintel testkit\n");
    for (name, value) in BASE {
        text += &line(name, value);
    }
    text += &line("port", &port.to_string());
    text += &line("unix_socket_directories", &socket_directory.display().to_string());
    let mut libraries = vec!["pg_stat_statements"];
    libraries.extend(options.preload.iter().map(String::as_str));
    text += &line("shared_preload_libraries", &libraries.join(","));
    if options.tls != Tls::Off {
        text += &line("ssl", "on");
        text += &line("ssl_ca_file", "root.crt");
    }
    for (name, value) in &options.settings {
        text += &line(name, value);
    }
    text
}

fn line(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\'', "''"))
}

fn host_based_access(options: &Options) -> String {
    let kind = if options.tls == Tls::Required { "hostssl" } else { "host" };
    let method = if options.scram { "scram-sha-256" } else { "trust" };
    let mut text = String::new();
    for line in &options.access {
        writeln!(text, "{line}").expect("a String");
    }
    for database in ["all", "replication"] {
        writeln!(text, "local {database} all trust").expect("a String");
        writeln!(text, "{kind} {database} all 127.0.0.1/32 {method}").expect("a String");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_test_come_last_and_are_quoted() {
        let options = Options::new().setting("fsync", "on").setting("application_name", "it's");
        let text = configuration(&options, 1, Path::new("/s"));
        assert!(text.ends_with("fsync = 'on'\napplication_name = 'it''s'\n"), "{text}");
        assert!(text.contains("shared_preload_libraries = 'pg_stat_statements'\n"));
    }

    #[test]
    fn requiring_tls_and_passwords_leaves_the_socket_open_for_the_test() {
        let text = host_based_access(&Options::new().require_tls().scram().access("local all bad reject"));
        assert!(text.starts_with("local all bad reject\n"), "{text}");
        assert!(text.contains("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"), "{text}");
        assert!(!text.contains("host all"));
    }
}
