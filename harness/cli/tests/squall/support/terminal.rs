//! A `squall` whose standard error is a terminal, and what that terminal shows.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{PATIENCE, eventually};

/// A `squall` on a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    master: File,
    written: Receiver<Vec<u8>>,
    /// What the terminal shows.
    pub(crate) parser: vt100::Parser,
    /// Lines that did not fit in a row, over all that was ever shown.
    pub(crate) wrapped: Vec<String>,
}

impl OnTerminal {
    /// Starts a command on a terminal of this size; its standard output goes nowhere.
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> OnTerminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("ours");
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).expect("it takes a size");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("an ASCII name"))
            .expect("its other end");
        command
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone().expect("a descriptor"))
            .stdout(Stdio::null())
            .stderr(slave)
            .process_group(0);
        let child = command.spawn().expect("started");
        // The slave's last copies go with the command, so that the end of squall is the end of the terminal.
        drop(command);
        let mut reader = File::from(master.try_clone().expect("a descriptor"));
        let (say, written) = unbounded();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The kernel answers with an error once nobody has the other end open.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if say.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        OnTerminal {
            child,
            master: File::from(master),
            written,
            parser: vt100::Parser::new(rows, columns, 1_000),
            wrapped: Vec::new(),
        }
    }

    /// The screen as text.
    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the screen shows something.
    pub(crate) fn wait_until(&mut self, what: &str, shown: impl Fn(&str) -> bool) {
        eventually(what, PATIENCE, || {
            self.take(Duration::from_millis(20));
            shown(&self.screen())
        });
    }

    /// Presses Ctrl-C: the terminal echoes it, and the signal comes. It would come from the terminal itself if squall had it
    /// as its own, which takes a step between fork and exec.
    pub(crate) fn ctrl_c(&mut self) {
        self.master.write_all(b"\x03").expect("it takes a key");
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
    }

    /// Waits for the end; everything written is on the screen then.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("squall ends", PATIENCE, || {
            self.take(Duration::from_millis(20));
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        while let Ok(bytes) = self.written.recv_timeout(Duration::from_millis(500)) {
            self.show(&bytes);
        }
        status.expect("just seen")
    }

    fn take(&mut self, within: Duration) {
        if let Ok(bytes) = self.written.recv_timeout(within) {
            self.show(&bytes);
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        let screen = self.parser.screen();
        let (_, columns) = screen.size();
        let wrapped = screen.rows(0, columns).enumerate();
        let wrapped = wrapped.filter(|(row, _)| screen.row_wrapped(*row as u16));
        self.wrapped.extend(wrapped.map(|(_, line)| line));
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Only where a test gives up on it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
