//! The filter as the kernel runs it: stops at the calls that it names, lets all others pass.

use libc::sock_filter;
use serde::{Deserialize, Serialize};

/// How the kernel names this architecture (`linux/audit.h`): the ELF machine, 64 bits, little endian.
const ARCHITECTURE: Option<u32> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(0xC000_003E)
} else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
    Some(0xC000_00B7)
} else {
    None
};

/// Whether filters can be made for this architecture.
pub const IS_SUPPORTED: bool = ARCHITECTURE.is_some();

/// Where in `struct seccomp_data` the call's number and the architecture are, in bytes.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A system call that may stop and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Syscall {
    /// connect(2)
    Connect,
}

impl Syscall {
    const ALL: &'static [Self] = &[Self::Connect];

    /// Its number on this architecture.
    pub fn number(self) -> u32 {
        match self {
            Self::Connect => libc::SYS_connect as u32,
        }
    }

    /// The call with this number on this architecture, if it is one of these.
    pub(super) fn of(number: i32) -> Option<Self> {
        let matches = |call: &&Self| call.number() == number.cast_unsigned();
        Self::ALL.iter().find(matches).copied()
    }
}

/// The program that stops at `calls`; `None` on an architecture whose numbers aren't known here.
///
/// The architecture is looked at first, since on x86-64 a 32-bit program's call of the same number is another call.
pub(super) fn program(calls: &[Syscall]) -> Option<Vec<sock_filter>> {
    let allow = op(RETURN, libc::SECCOMP_RET_ALLOW);
    let mut program = vec![
        op(LOAD, ARCHITECTURE_AT),
        jump(ARCHITECTURE?, 1, 0),
        allow,
        op(LOAD, NUMBER_AT),
    ];
    for call in calls {
        program.push(jump(call.number(), 0, 1));
        program.push(op(RETURN, libc::SECCOMP_RET_USER_NOTIF));
    }
    program.push(allow);
    Some(program)
}

fn op(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Skips `if_equal` instructions if what was loaded is `value`, else `if_not`.
fn jump(value: u32, if_equal: u8, if_not: u8) -> sock_filter {
    sock_filter {
        code: JUMP_IF_EQUAL,
        jt: if_equal,
        jf: if_not,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's interpreter would return, for the instructions that are used here.
    fn run(program: &[sock_filter], architecture: u32, number: u32) -> u32 {
        let mut loaded = 0;
        let mut at = 0;
        loop {
            let op = program[at];
            at += 1;
            match op.code {
                LOAD if op.k == NUMBER_AT => loaded = number,
                LOAD if op.k == ARCHITECTURE_AT => loaded = architecture,
                JUMP_IF_EQUAL => at += usize::from(if loaded == op.k { op.jt } else { op.jf }),
                RETURN => return op.k,
                code => panic!("instruction {code} at {at}"),
            }
        }
    }

    #[test]
    fn it_stops_at_the_calls_it_names_and_at_nothing_else() {
        let own = ARCHITECTURE.expect("tests run where squall does");
        let connect = libc::SYS_connect as u32;
        let program = program(&[Syscall::Connect]).expect("supported");
        assert_eq!(run(&program, own, connect), libc::SECCOMP_RET_USER_NOTIF);
        for other in [connect - 1, connect + 1, 0, u32::MAX] {
            assert_eq!(run(&program, own, other), libc::SECCOMP_RET_ALLOW, "{other}");
        }
        // i386: the same number means another call.
        assert_eq!(run(&program, 0x4000_0003, connect), libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn a_number_names_its_call_again() {
        for call in Syscall::ALL {
            assert_eq!(Syscall::of(call.number().cast_signed()), Some(*call));
        }
        assert_eq!(Syscall::of(-1), None);
    }
}
