//! `generate-config`: what it prints and writes is a configuration that starts, without a secret in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use dbintel_testkit::process::Launch;
use serde_json::{Value, json};

const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];
const SECRET: &str = "CANARY-hunter2";
/// An address of the backend with credentials in it, as some backends hand them out.
const SECRET_ENDPOINT: &str = "https://tenant:CANARY-hunter3@otlp.example/in?token=CANARY-hunter4";
/// A role whose name means something to YAML.
const ODD_ROLE: &str = "it's #1";

/// What a run of the program wrote, and its exit code.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn told(launch: Launch) -> Told {
    let output = launch.output().await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Told { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// `generate-config`, where a secret is set as it would be on a machine where the collector runs.
fn generate(arguments: &[&str]) -> Launch {
    let launch = Launch::command(&["generate-config"]).env("DBINTEL_PG_PASSWORD", SECRET);
    arguments.iter().fold(launch, |launch, argument| launch.argument(*argument))
}

/// What it prints, after it said nothing else.
async fn generated(arguments: &[&str]) -> String {
    let told = told(generate(arguments)).await;
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    told.out
}

/// `validate` or `print-config` of a text where it will be used.
async fn load(command: &str, config: &str, password: bool) -> Told {
    let launch = Launch::command(&[command, "--config"]);
    let launch = if password { launch.env("DBINTEL_PG_PASSWORD", SECRET) } else { launch };
    let file = launch.write_file("generated.yaml", config);
    told(launch.argument(file)).await
}

/// The program takes it, and only where its secret is set.
async fn is_valid(config: &str) {
    let valid = load("validate", config, true).await;
    assert_eq!(valid.code, Some(0), "{valid:?} of {config}");
    assert!(valid.out.starts_with("configuration is valid: 1 receivers, 1 exporters"), "{valid:?}");
    let without = load("validate", config, false).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.err.contains("DBINTEL_PG_PASSWORD"), "{without:?}");
}

fn parsed(yaml: &str) -> Value {
    dbintel_config::from_yaml(yaml).unwrap_or_else(|errors| panic!("{errors} in {yaml}"))
}

/// Each environment is what its overlay makes of the base, complete and valid.
#[tokio::test]
async fn each_environment_has_its_overlay_over_the_base() {
    for environment in ENVIRONMENTS {
        let text = generated(&[environment]).await;
        is_valid(&text).await;
        let config = parsed(&text);
        let receiver = &config["receivers"]["postgresql"];
        assert_eq!(receiver["tags"]["deployment.environment.name"], environment, "{text}");
        assert_eq!(receiver["password"], "${env:DBINTEL_PG_PASSWORD}", "{text}");
        assert_eq!(receiver["endpoint"], "localhost:5432", "the base: {text}");
        let overlay = parsed(&fs::read_to_string(repository(&format!("config/{environment}.yaml"))).unwrap());
        assert_within(&overlay, &config);
    }
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Everything of `part` is in `whole`, references with their defaults.
fn assert_within(part: &Value, whole: &Value) {
    match part {
        Value::Object(entries) => entries.iter().for_each(|(key, part)| assert_within(part, &whole[key])),
        Value::String(text) => assert_eq!(*whole, json!(with_defaults(text))),
        part => assert_eq!(part, whole),
    }
}

fn with_defaults(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${env:") else { return text.to_owned() };
    let (reference, after) = rest.split_once('}').unwrap();
    let (_, default) = reference.split_once(":-").unwrap();
    format!("{before}{default}{}", with_defaults(after))
}

/// Each has a store, in the directory that the environment names or in its own.
#[tokio::test]
async fn each_environment_keeps_its_state() {
    for (environment, default) in
        [("production", "/var/lib/dbintel"), ("staging", "/var/lib/dbintel"), ("development", "/tmp/dbintel")]
    {
        let named = told(generate(&[environment]).env("DBINTEL_STATE_DIRECTORY", "/srv/state of it")).await;
        assert_eq!(named.code, Some(0), "{named:?}");
        for (text, directory) in [(generated(&[environment]).await, default), (named.out, "/srv/state of it")]
        {
            is_valid(&text).await;
            let config = parsed(&text);
            assert_eq!(config["extensions"]["store"]["path"], format!("{directory}/store.db"), "{text}");
            assert_eq!(config["service"]["extensions"], json!(["store"]), "{text}");
        }
    }
}

/// What the environment says is written out, also where it means something to YAML.
#[tokio::test]
async fn values_of_the_environment_arrive_as_they_are() {
    let launch = generate(&["production"])
        .env("DBINTEL_PG_ENDPOINT", "db.example:5433")
        .env("DBINTEL_PG_USERNAME", ODD_ROLE)
        .env("DBINTEL_PG_DATABASE", "007");
    let told = told(launch).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    is_valid(&told.out).await;
    let receiver = &parsed(&told.out)["receivers"]["postgresql"];
    assert_eq!(receiver["endpoint"], "db.example:5433");
    assert_eq!(receiver["username"], ODD_ROLE);
    assert_eq!(receiver["connect_database"], "007", "a name, not a number");
    // Printing what was loaded gives the same again: nothing was lost on the way.
    let printed = load("print-config", &told.out, true).await;
    assert_eq!(parsed(&printed.out)["receivers"], parsed(&told.out)["receivers"]);
}

/// A value from the environment that the program would refuse is refused now and not where the file is used.
#[tokio::test]
async fn an_impossible_value_of_the_environment_is_an_error() {
    for output in [None, Some("out")] {
        let launch = generate(&["production"]).env("DBINTEL_PG_ENDPOINT", "[1, 2");
        let launch = match output {
            Some(directory) => launch.argument("--output").argument(directory),
            None => launch,
        };
        let told = told(launch).await;
        assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{told:?}");
        assert!(told.err.contains("receivers.postgresql.endpoint"), "{told:?}");
    }
}

/// All three, as documents of one stream, each as it is alone.
#[tokio::test]
async fn all_prints_every_environment_as_a_document_of_its_own() {
    for format in ["file", "configmap"] {
        let all = generated(&["all", "--format", format]).await;
        let documents: Vec<&str> = all.split("---\n").filter(|document| !document.is_empty()).collect();
        assert_eq!(documents.len(), ENVIRONMENTS.len(), "{all}");
        for (document, environment) in documents.iter().zip(ENVIRONMENTS) {
            assert_eq!(*document, generated(&[environment, "--format", format]).await);
        }
    }
}

/// The whole ConfigMap, as a YAML reader sees it; what is in it is the file, byte by byte.
#[tokio::test]
async fn a_config_map_holds_the_file_and_nothing_else() {
    for environment in ENVIRONMENTS {
        let plain = generated(&[environment]).await;
        let map = parsed(&generated(&[environment, "--format", "configmap"]).await);
        let expected = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "dbintel",
                "labels": { "app.kubernetes.io/name": "dbintel", "dbintel/environment": environment },
            },
            "data": { "dbintel.yaml": plain },
        });
        assert_eq!(map, expected);
        is_valid(map["data"]["dbintel.yaml"].as_str().unwrap()).await;
    }
}

/// Secrets of the environment are in nothing that is printed or written, in whatever form.
#[tokio::test]
async fn secrets_of_the_environment_never_leave_it() {
    for format in ["file", "configmap"] {
        for output in [None, Some("out")] {
            let launch = generate(&["all", "--format", format])
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", SECRET_ENDPOINT)
                .env("PGPASSWORD", SECRET);
            let launch = match output {
                Some(directory) => launch.argument("--output").argument(directory),
                None => launch,
            };
            let mut running = launch.start();
            let status = running.wait(std::time::Duration::from_secs(60)).await;
            let mut texts = vec![running.stdout(), running.stderr()];
            if output.is_some() && status.success() {
                texts.extend(files(&running.directory().join("out")).into_iter().map(|(_, text)| text));
                assert_eq!(texts.len(), 2 + ENVIRONMENTS.len());
            }
            for text in &texts {
                assert!(!text.contains("CANARY"), "{text}");
            }
            // Whether an address with credentials is taken or refused, it is not silently changed.
            let said = texts.concat();
            assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT") || said.contains("endpoint"), "{said}");
        }
    }
}

/// Names and contents of what is in a directory, in order.
fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

/// `--output` makes the directory, writes one file for each environment, and says which.
#[tokio::test]
async fn files_are_written_into_a_directory() {
    for (format, suffix) in [("file", ""), ("configmap", ".configmap")] {
        let mut running = generate(&["all", "--format", format, "--output", "made/for/it"]).start();
        assert!(running.wait(std::time::Duration::from_secs(60)).await.success(), "{}", running.stderr());
        let written = files(&running.directory().join("made/for/it"));
        let mut expected = Vec::new();
        for environment in ENVIRONMENTS {
            let text = generated(&[environment, "--format", format]).await;
            expected.push((format!("dbintel.{environment}{suffix}.yaml"), text));
        }
        let said: String = expected.iter().map(|(name, _)| format!("made/for/it/{name}\n")).collect();
        assert_eq!(running.stdout(), said);
        expected.sort();
        assert_eq!(written, expected);
    }
}

/// An older file is replaced at once: who has it open goes on reading the old one, whole, and nothing else is left.
#[tokio::test]
async fn an_existing_file_is_replaced_as_a_whole() {
    let launch = generate(&["production", "--output", "."]);
    let path = launch.write_file("dbintel.production.yaml", "what was there before\n");
    let mut reader = File::open(&path).unwrap();
    let mut running = launch.start();
    assert!(running.wait(std::time::Duration::from_secs(60)).await.success(), "{}", running.stderr());
    let mut before = String::new();
    reader.read_to_string(&mut before).unwrap();
    assert_eq!(before, "what was there before\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), generated(&["production"]).await);
    let names: Vec<_> = files(running.directory()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dbintel.production.yaml", "stderr", "stdout"]);
}

/// What cannot be written is said, with the name of the file, and leaves nothing behind.
#[tokio::test]
async fn a_file_that_cannot_be_written_is_an_error() {
    let launch = generate(&["staging", "--output", "out"]);
    let obstacle = launch.write_file("in-the-way", "").with_file_name("out/dbintel.staging.yaml");
    fs::create_dir_all(obstacle.join("full")).unwrap();
    let mut running = launch.start();
    let status = running.wait(std::time::Duration::from_secs(60)).await;
    assert!(!status.success() && running.stderr().contains("dbintel.staging.yaml"), "{}", running.stderr());
    assert_eq!(fs::read_dir(obstacle.parent().unwrap()).unwrap().count(), 1, "a leftover");

    let launch = generate(&["staging", "--output", "in-the-way"]);
    launch.write_file("in-the-way", "a file");
    let told = told(launch).await;
    assert!(told.code != Some(0) && told.err.contains("in-the-way"), "{told:?}");
}

/// The environment to generate for is named on the command line alone.
#[tokio::test]
async fn the_variable_that_chooses_overrides_does_not_change_what_is_generated() {
    let told = told(generate(&["production"]).env("DBINTEL_ENVIRONMENT", "staging")).await;
    assert_eq!((told.code, told.out), (Some(0), generated(&["production"]).await));
}
