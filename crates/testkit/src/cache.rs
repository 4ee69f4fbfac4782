//! Where `make setup` puts what the tests need: `scripts/common.sh` computes the same path.
//!
//! ```text
//! CACHE/postgres/MAJOR/{bin,lib,share,VERSION}   the servers, see scripts/setup-postgres.sh
//! CACHE/templates/PACKAGE-VERSION/               data directories made once by initdb, see postgres::template
//! CACHE/oracle/bin/python                        the virtual environment of tests/oracle
//! ```

use std::env;
use std::path::PathBuf;

/// Said by every fixture that misses something.
pub const SETUP_HINT: &str = "run `make setup` (or scripts/setup.sh) first";

/// Root of the cache: `DBINTEL_CACHE`, else `/var/cache/dbintel` for root, else `~/.cache/dbintel`.
pub fn root() -> PathBuf {
    if let Some(chosen) = env::var_os("DBINTEL_CACHE").filter(|chosen| !chosen.is_empty()) {
        return PathBuf::from(chosen);
    }
    if rustix::process::getuid().is_root() {
        return PathBuf::from("/var/cache/dbintel");
    }
    let home = env::var_os("HOME").expect("HOME is set, or DBINTEL_CACHE names the cache");
    PathBuf::from(home).join(".cache/dbintel")
}

/// The Python interpreter of the oracle's virtual environment. Panics when it is not there.
pub fn oracle_python() -> PathBuf {
    let python = root().join("oracle/bin/python");
    assert!(python.exists(), "no Python environment at {}: {SETUP_HINT}", python.display());
    python
}
