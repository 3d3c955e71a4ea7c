//! The program for comparison, which only [keeps kube's store](super::store).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::follower::{Follower, FollowerProgress, PATIENCE};
use super::process::MeasuredProcess;
use super::store::Objects;
use poddns_test_support::api_server::ApiServer;

/// The process. It prints a line when it is ready, and one for each line that it reads.
pub(super) struct Reflector {
    process: MeasuredProcess,
    ask: ChildStdin,
    told: Receiver<String>,
}

impl Reflector {
    /// Starts `program` with the arguments `reflector`, the parts of pods to keep, and a kubeconfig.
    pub(super) fn start(program: &Path, objects: Objects, server: &ApiServer) -> Self {
        let mut command = Command::new(program);
        command
            .args(["reflector", objects.name()])
            .arg(server.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = MeasuredProcess::start(&mut command);
        let ask = process.child().stdin.take().expect("piped");
        let lines = BufReader::new(process.child().stdout.take().expect("piped")).lines();
        let (sender, told) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, ask, told }
    }

    fn line(&self) -> String {
        self.told.recv_timeout(PATIENCE).expect("the reflector answers")
    }
}

impl Follower for Reflector {
    fn wait_until_ready(&mut self) {
        assert_eq!(self.line(), "ready");
    }

    fn progress(&mut self) -> FollowerProgress {
        writeln!(self.ask).expect("the reflector listens");
        let line = self.line();
        let mut numbers = line.split(' ').map(|number| number.parse().expect("numbers"));
        let mut next = || numbers.next().expect("three numbers");
        FollowerProgress { pods: next(), events: next(), lists: next() }
    }

    /// Does nothing, because this program answers no queries. Its number of pods is checked elsewhere.
    fn assert_right(&mut self, _server: &ApiServer) {}

    fn process(&mut self) -> &mut MeasuredProcess {
        &mut self.process
    }
}
