//! Any bytes as configuration: two files over each other, a file that they include, a variable they refer to, and a
//! `--set`, with zero bytes between these parts. What is checked: no panic; what came from a variable or a file is in
//! no error and no `Debug` output, and the content of a file in no printed configuration; what was printed can be
//! loaded, and prints the same again.
#![no_main]

use std::env::VarError;
use std::io;
use std::path::Path;

use dbintel_config::{Document, Environment, LoadOptions};
use libfuzzer_sys::fuzz_target;

/// What `${env:CANARY}` gives.
const OF_VARIABLE: &str = "q7canaryvariable7q";
/// What `${file:canary}` gives.
const OF_FILE: &str = "z9canaryfile9z";

/// Where a configuration may look: nothing here is real.
struct World<'a> {
    files: [&'a [u8]; 2],
    included: &'a [u8],
    variable: &'a str,
}

impl Environment for World<'_> {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "CANARY" => Ok(OF_VARIABLE.to_owned()),
            "A" => Ok(self.variable.to_owned()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn read_file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let bytes = match path.to_str() {
            Some("one.yaml") => self.files[0],
            Some("two.yaml") => self.files[1],
            Some("a.yaml") => self.included,
            Some("canary") => OF_FILE.as_bytes(),
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(bytes.iter().copied().take(bytes_max + 1).collect())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(5, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let files = [next(), next()];
    let (included, variable, set) =
        (next(), String::from_utf8_lossy(next()), String::from_utf8_lossy(next()));
    let holds = |canary: &str| String::from_utf8_lossy(bytes).contains(canary);
    if holds(OF_VARIABLE) || holds(OF_FILE) {
        return;
    }
    let world = World { files, included, variable: &variable };
    let options = LoadOptions {
        files: vec!["one.yaml".into(), "two.yaml".into()],
        sets: if set.is_empty() { Vec::new() } else { vec![set.into_owned()] },
        environment: Some("production".to_owned()),
    };
    let loaded = match Document::load(&options, &world) {
        Ok(loaded) => loaded,
        Err(errors) => return hides(&format!("{errors} {errors:?}"), true),
    };
    hides(&format!("{loaded:?} {:?}", options), true);
    loaded.warnings.iter().for_each(|warning| hides(&warning.to_string(), true));
    if let Err(errors) = loaded.document.service(&mut loaded.warnings.clone()) {
        hides(&errors.to_string(), true);
    }
    let printed = loaded.document.to_yaml(&[]);
    hides(&printed, false);
    let again = World { files: [printed.as_bytes(), b""], ..world };
    let options = LoadOptions { files: vec!["one.yaml".into()], ..LoadOptions::default() };
    match Document::load(&options, &again) {
        Ok(loaded) => assert_eq!(loaded.document.to_yaml(&[]), printed),
        Err(errors) => panic!("{errors} in what was printed:\n{printed}"),
    }
});

/// The text has no canary in it; that of the variable only where it must not.
fn hides(text: &str, variable_too: bool) {
    assert!(!text.contains(OF_FILE), "{text}");
    assert!(!variable_too || !text.contains(OF_VARIABLE), "{text}");
}
