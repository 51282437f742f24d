//! Child processes: started, waited for, and ended when we are.
//!
//! The only file that knows about signals and user accounts. Never decides what to run.

use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From now on Ctrl-C ends the children that `run` waits for, then calls `also`; it no longer ends
/// this process, which finishes in order: what it started is stopped on the way out.
pub fn end_children_on_interrupt(also: impl Fn() + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || {
        INTERRUPTED.store(true, Ordering::SeqCst);
        children().iter().for_each(|pid| terminate(*pid));
        also();
    })
    .context("cannot listen for Ctrl-C")
}

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Runs a command to its end, its output going to ours. An error if it failed.
pub fn run(command: &mut Command) -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    let words = words(command);
    let mut child = command.spawn().with_context(|| format!("cannot start `{words}`"))?;
    let pid = child.id();
    children().push(pid);
    let status = child.wait();
    children().retain(|other| *other != pid);
    if interrupted() {
        bail!("interrupted");
    }
    let status = status.with_context(|| format!("cannot wait for `{words}`"))?;
    if !status.success() {
        bail!("`{words}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and returns what it printed. An error, with its complaint, if it failed.
pub fn output(command: &mut Command) -> Result<String> {
    let words = words(command);
    let output = command.output().with_context(|| format!("cannot start `{words}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{words}` failed ({}): {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Asks a child to end, waits, and kills it when its time is up.
pub fn stop(child: &mut Child, patience: Duration) -> io::Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    terminate(child.id());
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait().map(drop)
}

/// The path of a program, if `PATH` has it.
pub fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn children() -> MutexGuard<'static, Vec<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(unix)]
mod system {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Context, Result};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, Uid, User};

    /// Asks a process to end. One that has ended already is no error.
    pub fn terminate(pid: u32) {
        if let Ok(pid) = i32::try_from(pid) {
            let _ended_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Whether we may do anything on this machine.
    pub fn is_root() -> bool {
        Uid::effective().is_root()
    }

    /// Another account, for programs that refuse to run as root.
    #[derive(Clone, Copy)]
    pub struct Account {
        user: u32,
        group: u32,
    }

    impl Account {
        /// Finds an account by its name.
        pub fn named(name: &str) -> Result<Self> {
            let user = User::from_name(name)?.with_context(|| format!("no user named {name}"))?;
            Ok(Self { user: user.uid.as_raw(), group: user.gid.as_raw() })
        }

        /// Makes the command run as this account.
        pub fn runs(self, command: &mut Command) {
            command.uid(self.user).gid(self.group);
        }

        /// Gives a file or folder to this account.
        pub fn owns(self, path: &Path) -> Result<()> {
            chown(path, Some(self.user), Some(self.group))
                .with_context(|| format!("cannot hand over {}", path.display()))
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Result, bail};

    /// There is no gentle way here: `stop` waits, then kills.
    pub fn terminate(_pid: u32) {}

    /// Programs do not refuse to run as anyone here.
    pub fn is_root() -> bool {
        false
    }

    /// Another account: not needed, since nobody is root.
    #[derive(Clone, Copy)]
    pub struct Account;

    impl Account {
        /// Never found.
        pub fn named(name: &str) -> Result<Self> {
            bail!("cannot run as {name} on this system")
        }

        /// Changes nothing.
        pub fn runs(self, _command: &mut Command) {}

        /// Changes nothing.
        pub fn owns(self, _path: &Path) -> Result<()> {
            Ok(())
        }
    }
}

pub use system::{Account, is_root, terminate};
