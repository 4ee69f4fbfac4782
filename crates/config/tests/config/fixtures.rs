//! Each `tests/fixtures/NAME.yaml` is loaded as `dbintel.yaml`, and gives what `NAME.txt` says: errors, then
//! warnings. A first line `# --environment X --set a=b` has the options.
//!
//! The examples in `docs/configuration.md` are lines of these files, and the files in `tests/fixtures/print`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dbintel_config::{Document, LoadOptions};

use crate::sample::{Fake, schemas, validate};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/fixtures")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

fn options(text: &str) -> LoadOptions {
    let mut options = LoadOptions { files: vec!["dbintel.yaml".into()], ..LoadOptions::default() };
    let first = text.lines().next().unwrap_or_default().trim_start_matches('#');
    let mut words = first.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "--environment" => options.environment = words.next().map(str::to_owned),
            "--set" => options.sets.extend(words.next().map(str::to_owned)),
            _ => {}
        }
    }
    options
}

fn report(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut fake = Fake::default();
    fake.variables.insert("PGHOST".to_owned(), "db".to_owned());
    let options = options(&text);
    fake.files.insert("dbintel.yaml".to_owned(), text);
    validate(&options, &fake).to_string()
}

#[test]
fn each_fixture_gives_its_report() {
    let mut wrong = Vec::new();
    for file in fixtures() {
        let expect = fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        let found = report(&file);
        if found != expect {
            wrong.push(format!("{}:\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documentation_shows_real_output() {
    let real: BTreeSet<String> = fixtures()
        .iter()
        .flat_map(|file| report(file).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let documentation = fs::read_to_string(root().join("../../docs/configuration.md")).unwrap();
    let shown: Vec<&str> = documentation.lines().filter(|line| line.starts_with("dbintel.yaml:")).collect();
    assert!(shown.len() >= 10, "{} examples", shown.len());
    for line in shown {
        assert!(real.contains(line), "no fixture gives this line of docs/configuration.md: {line}");
    }
}

#[test]
fn the_documented_configuration_prints_as_documented() {
    let read = |name: &str| fs::read_to_string(root().join("tests/fixtures/print").join(name)).unwrap();
    let mut fake = Fake::default();
    let variables = [("PGHOST", "db"), ("PGPASSWORD", "CANARY"), ("OTLP_TOKEN", "CANARY")];
    fake.variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let names = ["base.yaml", "overlay.yaml", "printed.yaml"];
    fake.files = names.map(|name| (name.to_owned(), read(name))).into();
    fake.files.insert("/run/secrets/client.pem".to_owned(), "CANARY".to_owned());
    let mut options = LoadOptions {
        files: vec!["base.yaml".into(), "overlay.yaml".into()],
        sets: Vec::new(),
        environment: Some("production".to_owned()),
    };
    let printed =
        |options: &LoadOptions| Document::load(options, &fake).unwrap().document.to_yaml(&schemas());
    assert_eq!(printed(&options), read("printed.yaml"));

    options = LoadOptions { files: vec!["printed.yaml".into()], ..LoadOptions::default() };
    assert_eq!(printed(&options), read("printed.yaml"), "the output loads and prints the same");

    let documentation = fs::read_to_string(root().join("../../docs/configuration.md")).unwrap();
    for name in names {
        assert!(documentation.contains(&read(name)), "docs/configuration.md does not show {name}");
    }
}
