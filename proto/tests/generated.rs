//! The Rust of the protobufs is checked in, so that building the program needs no generator. `make docs` rewrites it.

use std::path::Path;

#[test]
fn the_code_is_what_the_protobufs_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let files = protox::compile(["dbintel/v1/control.proto", "dbintel/v1/finding.proto"], [root]).unwrap();
    tonic_prost_build::configure().out_dir(directory.path()).compile_fds(files).unwrap();
    let made = std::fs::read_to_string(directory.path().join("dbintel.v1.rs")).unwrap();
    let path = root.join("src/v1.rs");
    if std::env::var_os("DBINTEL_UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    let is_current = std::fs::read_to_string(&path).unwrap() == made;
    assert!(is_current, "{} is not what the protobufs say; run `make docs`", path.display());
}
