//! `demo`: serves a namespace in memory and runs fio on it through the plug-in.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::shell::{Outcome, at, cargo, line, out, read, root, run, say};
use crate::terse;

/// The words that `configs/fio/target.inc` connects with.
const ADDRESS: &str = "127.0.0.1";
const PORT: &str = "4420";
const SUBNQN: &str = "nqn.2026-01.example.flexblk:demo";
const NAMESPACE: &str = "mem:512MiB";

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What is run, in this order. The last one writes every block and reads it back.
const JOBS: [&str; 6] = [
    "randread-4k-qd1.fio",
    "randread-4k-qd32.fio",
    "randwrite-4k-qd32.fio",
    "read-128k-qd8.fio",
    "write-128k-qd8.fio",
    "verify.fio",
];

/// Builds, serves, measures, verifies, prints the table and stops the server.
pub(crate) fn run_demo() -> Outcome {
    say("demo: release build");
    run(&mut cargo(&["build", "--locked", "--release", "-p", "flexblk", "-p", "flexblk-fio"]))?;
    let folder = out().join("demo");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let mut server = Server::start(&folder.join("serve.log"))?;
    let mut rows = Vec::new();
    for job in JOBS {
        say(&format!("demo: fio configs/fio/{job}"));
        rows.extend(run_job(job).map_err(|reason| server.explain(&reason))?);
    }
    server.stop()?;
    println!("\n{}", terse::table(&rows));
    println!("verify.fio read back every block that it wrote: checksums equal.");
    Ok(())
}

fn run_job(job: &str) -> Outcome<Vec<terse::Row>> {
    let mut fio = Command::new("fio");
    fio.args(["--output-format=terse", "--terse-version=3"]).arg(format!("configs/fio/{job}"));
    let printed = read(fio.current_dir(root()))?;
    let (rows, errors) = terse::parse(&printed);
    if errors > 0 || rows.is_empty() {
        return Err(format!("{job}: fio reports {errors} errors and {} results", rows.len()));
    }
    Ok(rows)
}

/// `flexblk serve`, ended when this value goes away, whatever happens in between.
struct Server {
    child: Child,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts the server and waits until it says that it listens.
    fn start(log: &Path) -> Outcome<Self> {
        let mut command = Command::new(out().join("release/flexblk"));
        command.args(["serve", "-t", "rdma", "-a", ADDRESS, "-s", PORT, "-n", SUBNQN, NAMESPACE]);
        say(&format!("demo: {}", line(&command)));
        let errors = File::create(log).map_err(at(log))?;
        let copy = errors.try_clone().map_err(at(log))?;
        let mut child = command
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", line(&command)))?;
        let printed = child.stdout.take();
        let server = Self { child, log: log.to_path_buf() };
        let ready = printed.map(|pipe| watch(pipe, copy));
        server.wait_until_ready(ready.as_ref())
    }

    fn wait_until_ready(mut self, ready: Option<&Receiver<()>>) -> Outcome<Self> {
        match ready.map(|signal| signal.recv_timeout(READY_WITHIN)) {
            Some(Ok(())) => Ok(self),
            Some(Err(RecvTimeoutError::Timeout)) => {
                Err(self.explain(&format!("no `listening` within {} s", READY_WITHIN.as_secs())))
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                Err(self.explain("it closed its output without a line `listening`"))
            }
        }
    }

    /// A reason, with what the server said and whether it still runs.
    fn explain(&mut self, reason: &str) -> String {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => format!("flexblk serve has ended ({status})"),
            Ok(None) => "flexblk serve is running".to_owned(),
            Err(error) => format!("flexblk serve: {error}"),
        };
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        format!("{reason}\n{state}; it said ({}):\n{}", self.log.display(), said.trim_end())
    }

    /// Asks it to end, as a user would, and checks that it ends well.
    fn stop(&mut self) -> Outcome {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < STOP_WITHIN {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return if status.success() { Ok(()) } else { Err(self.explain("bad end")) };
            }
            std::thread::sleep(step);
            waited += step;
        }
        Err(self.explain(&format!("it did not end within {} s", STOP_WITHIN.as_secs())))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Has no effect on a child that was waited for.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Copies what the server prints into its log; signals the first line that says `listening`.
fn watch(pipe: impl std::io::Read + Send + 'static, mut log: File) -> Receiver<()> {
    let (signal, ready) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { break };
            let _full_disk = writeln!(log, "{line}");
            if line.starts_with("listening") {
                let _nobody_waits = signal.send(());
            }
        }
    });
    ready
}
