//! The paths of the workspace's programs, the repository, and the Python and the Node.js packages of the
//! test environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A program of this workspace, such as `zibrato-broker`, from the same target folder as this test.
///
/// # Panics
/// If it does not exist; the message says how to build it.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = beside_the_test().join(name);
    assert!(
        path.is_file(),
        "{} is not there; run `cargo --config .cargo/system-libzmq.toml build --workspace --bins --all-features`",
        path.display()
    );
    path
}

/// The folder in which cargo puts programs of this test's profile.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    // A test is in `deps` below it, a documentation test in a separate folder.
    let deps = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(Path::parent);
    // A program that is not a test is beside the others, or in a copy of the folder.
    let among = || test.parent().filter(|folder| folder.join("zibrato-broker").is_file());
    deps.or_else(among).map_or_else(|| repository().join("target/debug"), Path::to_owned)
}

/// The root of the checkout.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The Python interpreter with the packages of `tests/python/requirements.txt`: that of the
/// variable `ZIBRATO_TEST_PYTHON`, or the one that `tests/run` creates in `target/venv`.
///
/// # Panics
/// If there is neither; the message says how to create one.
#[must_use]
pub fn python() -> PathBuf {
    let named = std::env::var_os("ZIBRATO_TEST_PYTHON").filter(|name| name != &OsString::new());
    let path = named.map_or_else(|| repository().join("target/venv/bin/python"), PathBuf::from);
    let path = if path.is_absolute() { path } else { repository().join(path) };
    assert!(
        path.is_file(),
        "{} is not there; `tests/run setup` makes it from tests/python/requirements.txt",
        path.display()
    );
    path
}

/// The folder with the packages of Node.js: that of the variable `ZIBRATO_TEST_NODE_MODULES`, or the one
/// that `tests/run` creates in `target/node`.
///
/// # Panics
/// If there is neither; the message says how to create one.
#[must_use]
pub fn node_modules() -> PathBuf {
    let named = std::env::var_os("ZIBRATO_TEST_NODE_MODULES").filter(|name| !name.is_empty());
    let path = named.map_or_else(|| repository().join("target/node/node_modules"), PathBuf::from);
    let path = if path.is_absolute() { path } else { repository().join(path) };
    assert!(
        path.is_dir(),
        "{} is not there; `tests/run setup` makes it, and needs nodejs and npm",
        path.display()
    );
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_where_its_manifest_is() {
        assert!(super::repository().join("zibrato/Cargo.toml").is_file());
    }
}
