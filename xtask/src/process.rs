//! Child processes, ended by their handle on every path.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::interrupt;

/// Lines of a program's standard output kept for us; more are dropped, the program is never held up.
const LINES_MAX: usize = 4096;
/// How often a wait looks at the interrupt flag.
const GLANCE: Duration = Duration::from_millis(20);
/// Lines of a failed program's log that are shown.
const LOG_TAIL: usize = 25;

/// Runs a command to its end with our own output.
///
/// # Errors
/// When it does not start, fails, or we are interrupted.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot run {shown}"))?;
    let status = Guard(child).wait(None)?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// As [`run`]; the text holds what it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}: {}", output.status, errors.trim());
    String::from_utf8(output.stdout).with_context(|| shown)
}

/// Runs a command to its end, shows every line and passes it to `each`.
///
/// # Errors
/// As [`run`], except that its failure is returned as a status.
pub(crate) fn watch(command: &mut Command, mut each: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
    let shown = shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Guard(command.spawn().with_context(|| format!("cannot run {shown}"))?);
    let stdout = child.0.stdout.take().context("no standard output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        each(&line);
        interrupt::check()?;
    }
    child.wait(None)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    program.into_owned() + &arguments.collect::<String>()
}

/// Kills its child when it is dropped: also on an error, a panic, or Ctrl-C.
struct Guard(Child);

impl Guard {
    /// Waits for the end; an error after `deadline` or when we are interrupted.
    fn wait(&mut self, deadline: Option<Instant>) -> anyhow::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            interrupt::check()?;
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                bail!("did not end in time");
            }
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that runs beside us until it is stopped or dropped.
pub(crate) struct Program {
    name: String,
    child: Guard,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Program {
    /// Starts `command` in its own process group: a Ctrl-C reaches us alone, and we end it in order.
    ///
    /// # Errors
    /// When it does not start or the log cannot be written.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Program> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).process_group(0);
        // Logs are files, and parts of them are shown in errors.
        command.env("NO_COLOR", "1");
        let mut child = Guard(command.spawn().with_context(|| format!("cannot start {}", shown(&command)))?);
        let stdout = child.0.stdout.take().context("no standard output")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        // The thread ends with the program's standard output.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.try_send(line);
            }
        });
        Ok(Program { name: name.to_owned(), child, lines, log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// The ready line: the first line of JSON with `"ready": true`.
    ///
    /// # Errors
    /// When the program ends first or `patience` passes; the error shows the end of its log.
    pub(crate) fn ready(&mut self, patience: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            interrupt::check()?;
            let Some(line) = self.line(GLANCE)? else { continue };
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && value["ready"] == true
            {
                return Ok(value);
            }
        }
        bail!("{} is not ready after {} s{}", self.name, patience.as_secs(), self.log_tail());
    }

    /// The next line of standard output; `None` when there is none within `wait`.
    ///
    /// # Errors
    /// When the program has ended.
    pub(crate) fn line(&mut self, wait: Duration) -> anyhow::Result<Option<String>> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait(Some(Instant::now() + Duration::from_secs(5)))?;
                bail!("{} ended by itself: {status}{}", self.name, self.log_tail());
            }
        }
    }

    /// The status, when the program has ended by itself.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.0.try_wait()?)
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it does not read any more.
    pub(crate) fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self.child.0.stdin.as_mut().context("no standard input")?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .with_context(|| format!("{} does not read", self.name))
    }

    /// # Errors
    /// When the program has ended.
    pub(crate) fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended by itself: {status}{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Asks for an orderly end with SIGTERM and wants exit status 0 within `patience`.
    ///
    /// # Errors
    /// When it ended before, ends otherwise, or not in time (then it is killed).
    pub(crate) fn stop(mut self, patience: Duration) -> anyhow::Result<()> {
        self.must_run()?;
        kill_process(Pid::from_child(&self.child.0), Signal::TERM)?;
        let status = self.child.wait(Some(Instant::now() + patience));
        let status = status.with_context(|| format!("{} after SIGTERM{}", self.name, self.log_tail()))?;
        ensure!(status.success(), "{} after SIGTERM: {status}{}", self.name, self.log_tail());
        Ok(())
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it had ended before.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.child.0.kill()?;
        self.child.wait(None)?;
        Ok(())
    }

    /// Waits for the end and returns the lines it printed.
    ///
    /// # Errors
    /// When it is not over within `patience`, or fails.
    pub(crate) fn finish(mut self, patience: Duration) -> anyhow::Result<Vec<String>> {
        let status = self.child.wait(Some(Instant::now() + patience));
        let status = status.with_context(|| format!("{}{}", self.name, self.log_tail()))?;
        ensure!(status.success(), "{}: {status}{}", self.name, self.log_tail());
        Ok(self.lines.iter().collect())
    }

    /// The end of the log, as an addition to an error.
    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        if tail.is_empty() { String::new() } else { format!("; its log ends:\n{}", tail.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Program, PathBuf) {
        let log = std::env::temp_dir().join(format!("xtask-test-{}-{:p}.log", std::process::id(), &script));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Program::start("stand-in", command, &log).unwrap(), log)
    }

    #[test]
    fn the_ready_line_is_found_among_others() {
        let (mut program, log) =
            shell(r#"echo hello; echo '{"ready":true,"listen":{"smpp":"127.0.0.1:1"}}'; read line"#);
        let ready = program.ready(Duration::from_secs(10)).unwrap();
        assert_eq!(ready["listen"]["smpp"], "127.0.0.1:1");
        program.must_run().unwrap();
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_program_that_dies_shows_its_log() {
        let (mut program, log) = shell("echo the reason >&2; exit 3");
        let error = program.ready(Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("the reason") && error.contains('3'), "{error}");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_dropped_program_is_dead() {
        let (program, log) = shell("exec sleep 600");
        let id = program.id();
        drop(program);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
        std::fs::remove_file(log).unwrap();
    }
}
