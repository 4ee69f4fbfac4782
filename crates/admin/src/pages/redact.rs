//! The command line without secrets.

/// Arguments whose value is shown. Everything else that has a value may carry a secret, above all `--set`.
const SHOWN: [&str; 7] =
    ["--config", "--environment", "--shard", "--format", "--mode", "--log-level", "--feature-gates"];
/// Characters of one argument.
const ARGUMENT_CHARS_MAX: usize = 256;
/// Arguments shown.
const ARGUMENTS_MAX: usize = 64;
const HIDDEN: &str = "…";

/// The command line as it may be shown: program, subcommand and options, values only of options known to be harmless.
/// Of `--set a.b=c` the key is kept.
#[must_use]
pub fn redact_command_line<Argument: AsRef<str>>(
    arguments: impl IntoIterator<Item = Argument>,
) -> Vec<String> {
    let mut shown = Vec::new();
    let mut value_of: Option<String> = None;
    for (index, argument) in arguments.into_iter().enumerate() {
        if shown.len() == ARGUMENTS_MAX {
            shown.push(HIDDEN.to_owned());
            break;
        }
        let argument = argument.as_ref();
        let text = match value_of.take() {
            _ if argument.starts_with('-') => option(argument, &mut value_of),
            Some(option) => value(&option, argument),
            // The program and the subcommand; what follows them without an option may be anything.
            None if index < 2 => argument.to_owned(),
            None => HIDDEN.to_owned(),
        };
        shown.push(text.chars().take(ARGUMENT_CHARS_MAX).collect());
    }
    shown
}

/// An option, with its value where it is written with `=`; otherwise the next argument is the value.
fn option(argument: &str, value_of: &mut Option<String>) -> String {
    match argument.split_once('=') {
        Some((name, text)) => format!("{name}={}", value(name, text)),
        None => {
            *value_of = Some(argument.to_owned());
            argument.to_owned()
        }
    }
}

fn value(option: &str, text: &str) -> String {
    if SHOWN.contains(&option) && !text.contains("://") {
        return text.to_owned();
    }
    match text.split_once('=') {
        Some((key, _)) if option == "--set" => format!("{key}={HIDDEN}"),
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_harmless_is_shown() {
        let check = |arguments: &str, expected: &str| {
            let shown = redact_command_line(arguments.split(' '));
            assert_eq!(shown.join(" "), expected);
        };
        check(
            "dbintel run --config a.yaml --config=b.yaml --environment production",
            "dbintel run --config a.yaml --config=b.yaml --environment production",
        );
        check(
            "dbintel run --set exporters.otlp.headers.key=s3cret --set=a.b=s3cret",
            "dbintel run --set exporters.otlp.headers.key=… --set=a.b=…",
        );
        check("dbintel run --password s3cret s3cret", "dbintel run --password … …");
        check("dbintel run --password=s3cret", "dbintel run --password=…");
        check("dbintel --config postgres://u:s3cret@h/d", "dbintel --config …");
        check("dbintel run --set s3cret", "dbintel run --set …");
    }

    #[test]
    fn long_command_lines_are_cut() {
        let shown = redact_command_line(vec!["x".repeat(1_000); 100]);
        assert_eq!((shown.len(), shown[0].len()), (ARGUMENTS_MAX + 1, ARGUMENT_CHARS_MAX));
    }
}
