//! Where the Unix socket is, and how it is had safely.
//!
//! The socket has mode 0600. A directory that is made for it has mode 0700; one that is found in `/tmp` must be ours and
//! closed to others, since anybody could have made it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::listener::Socket;

/// Bytes of a socket's path: the kernel takes 107.
pub const MAX_SOCKET_PATH_BYTES: usize = 100;
/// Name of the socket in its directory.
const SOCKET: &str = "control.sock";
/// A directory that systemd or a container's manifest makes for the collector.
const RUN_DIRECTORY: &str = "/run/dbintel";

/// Where the socket can be if none is configured, the likeliest first; `runtime_directory` is the value of
/// `XDG_RUNTIME_DIR`. The collector takes the first; its client, who may be another user, the first that is there.
#[must_use]
pub fn default_sockets(runtime_directory: Option<&OsStr>) -> Vec<PathBuf> {
    let of_session = runtime_directory.map(Path::new).filter(|path| path.is_absolute());
    let of_session = of_session.map(|directory| directory.join("dbintel"));
    let of_service = Path::new(RUN_DIRECTORY).is_dir().then(|| PathBuf::from(RUN_DIRECTORY));
    let own = PathBuf::from(format!("/tmp/dbintel-{}", rustix::process::geteuid().as_raw()));
    of_session.into_iter().chain(of_service).chain([own]).map(|directory| directory.join(SOCKET)).collect()
}

/// Binds the socket. One that nobody answers on is left over from a process that was killed, and is replaced.
pub(super) fn bind(configured: Option<&Path>) -> io::Result<Socket> {
    let path = match configured {
        Some(path) => path.to_owned(),
        None => {
            let all = default_sockets(std::env::var_os("XDG_RUNTIME_DIR").as_deref());
            let path = all.into_iter().next().ok_or(io::ErrorKind::NotFound)?;
            own_directory(&path)?;
            path
        }
    };
    if UnixStream::connect(&path).is_ok() {
        let message = format!("another process answers on {}", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    remove_left_over(&path)?;
    // Between bind and chmod others could connect if they may enter the directory; so it is made under another name that
    // nobody knows, closed, and put in place then.
    let hidden = path.with_extension(format!("{}.new", std::process::id()));
    remove_left_over(&hidden)?;
    let socket = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
    fs::rename(&hidden, &path)?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Unix(socket, path))
}

fn remove_left_over(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => {
            let message = format!("{} is there and is not a socket", path.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn own_directory(socket: &Path) -> io::Result<()> {
    let Some(directory) = socket.parent() else { return Ok(()) };
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", directory.display()))),
    }
    if !directory.starts_with("/tmp") {
        return Ok(());
    }
    let found = fs::symlink_metadata(directory)?;
    let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if is_ours && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("{} is not a directory of ours that is closed to others", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}
