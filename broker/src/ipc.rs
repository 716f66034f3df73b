//! The folder with a Unix socket for each endpoint, for programs on the same machine.

use rustix::fs::Mode;
use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zibrato::wire::Endpoint;

/// The file that a broker locks while it listens here.
const LOCK: &str = "broker.lock";

/// A folder that this broker uses exclusively. Dropping it removes the sockets.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    host: String,
    mode: u32,
    _lock: File,
}

impl Folder {
    /// Checks whether a folder can be used, as far as possible without changing it.
    pub(crate) fn check(path: &Path) -> Result<String, IpcError> {
        let host = path.to_str().map(|path| format!("ipc://{path}"));
        let host = host.filter(|host| Endpoint::Publishers.ipc_endpoint(host).is_some());
        host.ok_or_else(|| IpcError::Path { folder: path.to_owned() })
    }

    /// Creates the folder if it is missing, and locks it. `mode` is that of the sockets.
    pub(crate) fn take(path: &Path, mode: u32) -> Result<Self, IpcError> {
        let host = Self::check(path)?;
        let wrong = |problem| IpcError::Folder { folder: path.to_owned(), problem };
        // Users of the sockets need access to the folder.
        let folder_mode = if mode & 0o060 == 0 { 0o700 } else { 0o750 };
        match DirBuilder::new().mode(folder_mode).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(wrong(error)),
            Err(_) if !path.is_dir() => {
                return Err(wrong(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    "it is not a folder",
                )));
            }
            Ok(()) | Err(_) => {}
        }
        if std::fs::metadata(path).map_err(wrong)?.mode() & 0o002 != 0 {
            return Err(IpcError::Writable { folder: path.to_owned() });
        }
        let lock = File::create(path.join(LOCK)).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), host, mode, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(IpcError::InUse { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// The file of an endpoint.
    pub(crate) fn file(&self, endpoint: Endpoint) -> PathBuf {
        self.path.join(endpoint.file_name())
    }

    /// The ZeroMQ address of an endpoint.
    pub(crate) fn endpoint(&self, endpoint: Endpoint) -> String {
        endpoint.ipc_endpoint(&self.host).unwrap_or_default()
    }

    /// Listens at an endpoint. The socket has its final permissions, or tighter ones, at all times.
    pub(crate) fn bind(&self, socket: &zmq::Socket, endpoint: Endpoint) -> Result<(), IpcError> {
        let file = self.file(endpoint);
        // The mask applies to the whole process, but only for a moment, and it only removes
        // permissions.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = socket.bind(&self.endpoint(endpoint));
        rustix::process::umask(before);
        bound.map_err(|problem| IpcError::Socket { file: file.clone(), problem })?;
        std::fs::set_permissions(&file, Permissions::from_mode(self.mode))
            .map_err(|problem| IpcError::Folder { folder: self.path.clone(), problem })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for endpoint in Endpoint::ALL {
            // It may not exist, and the next broker replaces what is left.
            std::fs::remove_file(self.file(endpoint)).ok();
        }
    }
}

/// The reason why a broker cannot listen in a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IpcError {
    /// The folder cannot be created or used.
    #[error("--ipc {}: {problem}; give a folder that the broker can create or write to", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        problem: io::Error,
    },
    /// Another broker listens there.
    #[error("--ipc {}: another broker listens there; stop it, or give each broker its own folder", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The path cannot be used for sockets.
    #[error(
        "--ipc {}: give an absolute path of at most 90 bytes, such as /run/zibrato", .folder.display()
    )]
    Path {
        /// The folder.
        folder: PathBuf,
    },
    /// ZeroMQ cannot create a socket there.
    #[error("{}: {problem}; give another folder with --ipc", .file.display())]
    Socket {
        /// The file of the socket.
        file: PathBuf,
        /// The error of ZeroMQ.
        problem: zmq::Error,
    },
    /// Any user could replace the sockets.
    #[error(
        "--ipc {}: every user can write to it and could replace the sockets; give a separate \
         folder, such as /run/zibrato", .folder.display()
    )]
    Writable {
        /// The folder.
        folder: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::{Folder, IpcError};
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use zibrato::wire::Endpoint;

    #[test]
    fn sockets_have_the_permissions_that_were_asked_for() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("zibrato");
        let mode_of = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        for (mode, of_folder) in [(0o600, 0o700), (0o660, 0o750)] {
            let folder = Folder::take(&path, mode).unwrap();
            let context = zmq::Context::new();
            let socket = context.socket(zmq::PULL).unwrap();
            folder.bind(&socket, Endpoint::Publishers).unwrap();
            let file = path.join("publishers.sock");
            assert_eq!((mode_of(&file), mode_of(&path)), (mode, of_folder));
            assert!(matches!(Folder::take(&path, mode), Err(IpcError::InUse { .. })));
            drop(folder);
            assert!(!file.exists());
            std::fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn a_folder_that_cannot_be_safe_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        std::fs::set_permissions(outer.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Folder::take(outer.path(), 0o600), Err(IpcError::Writable { .. })));
        for path in ["", "run", &format!("/{}", "x".repeat(100)), "/"] {
            let error = Folder::take(path.as_ref(), 0o600).unwrap_err();
            assert!(matches!(error, IpcError::Path { .. }), "{path}: {error}");
        }
        let file = outer.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Folder::take(&file, 0o600).unwrap_err().to_string();
        assert!(error.contains("file: it is not a folder; give a folder"), "{error}");
        let deep = outer.path().join("not/there");
        assert!(matches!(Folder::take(&deep, 0o600), Err(IpcError::Folder { .. })));
    }
}
