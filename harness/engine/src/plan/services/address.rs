//! Where a service that already runs is, and how its TLS is checked.

use std::path::Path;

use squall_load::{Tls, Trust, UNIX_PATH_BYTES_MAX, is_unix_path};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{Address, Scheme, Service, is_named};
use squall_model::span::Spanned;

use crate::plan::Settings;

/// The address, on this machine or on a host that the user allows; a unix socket's path from the scenario's folder on.
pub(super) fn compile(
    at: &Spanned<Address>,
    service: &Service,
    settings: &Settings,
    diagnostics: &mut Diagnostics,
) -> Option<Address> {
    let host = match &at.value {
        Address::Unix(path) => return compile_unix(at, path, &settings.base, diagnostics),
        Address::Host { host, .. } => host,
    };
    if !at.value.is_loopback() && !is_named(host, &settings.allow_hosts) {
        let error = Diagnostic::error(at.span, format!("`{}` is not on this machine", at.value));
        let help = format!("if you may put load on it, say `--allow-host {host}`");
        diagnostics.push(error.help(help));
        return None;
    }
    if service.tls.is_some()
        && let Address::Host {
            scheme: Scheme::Http, ..
        } = at.value
    {
        let error = Diagnostic::error(
            at.span,
            "`http://` is without TLS, and `tls` says how to check it",
        );
        diagnostics.push(error.help("write https://, or leave `tls` out"));
        return None;
    }
    Some(at.value.clone())
}

fn compile_unix(
    at: &Spanned<Address>,
    path: &str,
    base: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Address> {
    let path = std::path::absolute(base.join(path)).unwrap_or_else(|_| base.join(path));
    if !is_unix_path(&path) {
        let length = path.as_os_str().len();
        let message = format!(
            "{} is {length} bytes long, and a unix socket's path has at most {UNIX_PATH_BYTES_MAX}",
            path.display()
        );
        diagnostics.push(
            Diagnostic::error(at.span, message).help("put the socket, or a link to its folder, into /tmp"),
        );
        return None;
    }
    Some(Address::Unix(path.to_string_lossy().into_owned()))
}

/// How a load begins TLS with the service, where it does.
pub(super) fn compile_tls(service: &Service, base: &Path, diagnostics: &mut Diagnostics) -> Option<Tls> {
    let host = match service.at.as_ref().map(|at| &at.value) {
        Some(Address::Host { host, .. }) => host.as_str(),
        Some(Address::Unix(_)) => "localhost",
        None => "127.0.0.1",
    };
    let is_https = service.at.as_ref().is_some_and(|at| {
        matches!(
            at.value,
            Address::Host {
                scheme: Scheme::Https,
                ..
            }
        )
    });
    let Some(written) = &service.tls else {
        let (name, trust) = (host.to_owned(), Trust::Platform);
        return is_https.then_some(Tls { name, trust });
    };
    let trust = match &written.ca {
        Some(ca) => match Trust::from_file(&base.join(&ca.value)) {
            Ok(trust) => trust,
            Err(e) => {
                diagnostics.push(Diagnostic::error(ca.span, e.to_string()));
                return None;
            }
        },
        None if written.insecure.is_some() => Trust::Anyone,
        None => Trust::Platform,
    };
    let name = written.name.as_ref();
    let tls = Tls {
        name: name.map_or(host, |name| name.value.as_str()).to_owned(),
        trust,
    };
    if let (Some(name), Err(e)) = (name, tls.check_name()) {
        diagnostics.push(Diagnostic::error(name.span, e.to_string()));
        return None;
    }
    Some(tls)
}
