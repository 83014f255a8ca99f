//! How a command is started: the program, its arguments and environment, its folder.

use crate::linux::process::guardian::Plan;
use crate::subject::Target;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

impl Target {
    /// How to start the server.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the command.
    pub(super) fn plan(&self, port: u16, dir: &Path) -> Result<Plan, String> {
        if let Some(name) = self.set_twice() {
            return Err(format!("`{name}` is set twice in the server's environment: give it one value"));
        }
        let fill = |text: &str| c_string(Target::filled(text, port, dir));
        let words: Vec<CString> = self.words.iter().map(|word| fill(word)).collect::<Result<_, _>>()?;
        let first = words.first().ok_or("there is no command")?;
        let program = found(OsStr::from_bytes(first.as_bytes()))?;
        let own = self.environment.iter().map(|(name, value)| {
            let mut pair = OsString::from(name);
            pair.push("=");
            pair.push(Target::filled(value, port, dir));
            pair
        });
        let role = self.role().map(|(name, value)| OsString::from(format!("{name}={value}")));
        let own: Vec<OsString> = own.chain(role).collect();
        let given = |name: &OsStr| self.environment.iter().any(|(own, _)| OsStr::new(own) == name);
        // Variables that a service manager has set for brokenpipe itself are not passed on to the server.
        let inherited = std::env::vars_os().filter(|(name, _)| {
            !given(name) && !["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"].iter().any(|n| name == n)
        });
        let inherited = inherited.map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        let activation = self.listen_fd.then(|| OsString::from("LISTEN_FDS=1"));
        let environment = inherited.chain(own).chain(activation).map(c_string).collect::<Result<_, _>>()?;
        let folder = match &self.cwd {
            Some(folder) => {
                folder_of(folder).map_err(|e| format!("cannot run the server in {}: {e}", folder.display()))?
            }
            None => dir.to_owned(),
        };
        Ok(Plan {
            program: c_string(program.into_os_string())?,
            arguments: words,
            environment,
            folder: c_string(folder.into_os_string())?,
            output: c_string(dir.join(OUTPUT).into_os_string())?,
            listener: self.listen_fd.then_some(port),
            sigpipe: self.sigpipe,
            gate: self.gate,
            jumps: self.gate && !self.real_time,
        })
    }
}

/// The file in the fresh folder that the server's output goes to.
pub(super) const OUTPUT: &str = "output";

fn c_string(text: OsString) -> Result<CString, String> {
    CString::new(text.into_vec()).map_err(|e| format!("a word with a zero byte in it: {:?}", e.into_vec()))
}

/// The absolute path of an existing folder.
fn folder_of(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if std::fs::metadata(&path)?.is_dir() { Ok(path) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
}

/// The path of a program: the name itself if it contains a slash, else the first match in PATH and in the sbin folders.
fn found(name: &OsStr) -> Result<PathBuf, String> {
    if name.as_bytes().contains(&b'/') {
        let path = std::path::absolute(name).map_err(|e| format!("{}: {e}", Path::new(name).display()))?;
        return if path.exists() { Ok(path) } else { Err(format!("{}: there is no such file", path.display())) };
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    // Many servers are in the sbin folders, which are not in every user's PATH.
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let executable =
        |path: &PathBuf| nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok() && path.is_file();
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates.find(executable).ok_or_else(|| format!("`{}` is not in PATH", Path::new(name).display()))
}
