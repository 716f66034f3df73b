//! A recipe of docs/recipes.md: an application that installs the instrument for its libraries.
#![expect(clippy::print_stdout, reason = "the result of the program")]

use zibrato::{InstallError, Zibrato};
use zibrato_example_library::Index;

fn main() -> Result<(), InstallError> {
    // Without this, the library does the same and measures nothing.
    let measure = std::env::args().any(|arg| arg == "--measure");
    let _zibrato = measure.then(|| Zibrato::builder().source("app").install()).transpose()?;
    let mut index = Index::default();
    println!("{} new words", index.add("to be or not to be"));
    println!("{}", index.contains("be"));
    Ok(())
}
