//! What the probe says where the machine's administrator forbids it.

use std::fs;

use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
use squall_engine::network::{Ownership, Unavailable, probe};

/// In a user namespace of this process's own, whose settings are its own as well.
pub(crate) fn the_setting_is_named() {
    let forbid = |setting: &str| fs::write(format!("/proc/sys/user/{setting}"), "0").expect("its own to set");
    let says = |expected: &str| {
        let why = probe().expect_err("forbidden").to_string();
        assert!(why.contains(expected), "{why}");
    };
    forbid("max_net_namespaces");
    says("user.max_net_namespaces is 0");
    forbid("max_user_namespaces");
    clear_ambient_capability_set().expect("cleared");
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).expect("fewer is always allowed");
    assert!(!Ownership::is_held());
    says("user.max_user_namespaces is 0");
    let refused = Ownership::take().expect_err("forbidden").to_string();
    assert!(refused.contains("user.max_user_namespaces is 0"), "{refused}");

    // With a second thread the kernel would not say why.
    let (keep, nothing) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || nothing.recv().is_ok());
    assert_eq!(Ownership::take().expect_err("two threads"), Unavailable::Threads);
    drop(keep);
    thread.join().expect("it ended");
}
