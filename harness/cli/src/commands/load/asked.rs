//! What the command line of `squall load` asks for, checked. Sends nothing; it resolves the URL's host and reads the body.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use squall_load::http1::RequestTemplate;
use squall_load::http2::{Http2, STREAMS};
use squall_load::oneshot::OneShot;
use squall_load::url::{HttpUrl, Place};
use squall_load::{PacerKind, Protocol, Trust, affinity};
use squall_model::scenario::is_named;
use squall_model::seed::Seed;
use squall_model::units::{Quantity as _, Rate, human, parse_duration};

use crate::arguments::LoadArguments;
use crate::output;
use crate::quoting::shell;

/// The longest body that is read.
const BODY_MOST: u64 = 64 << 20;

/// The longest load: a day.
const LONGEST: Duration = Duration::from_hours(24);

/// A load on one URL.
pub struct Asked {
    /// Where to, with its scheme.
    pub url: String,
    /// Where the URL leads.
    pub place: Place,
    /// What is asked.
    pub request: RequestTemplate,
    /// Whether that goes over HTTP/2.
    pub http2: bool,
    /// The file with the authorities that are trusted, as an absolute path.
    pub ca: Option<PathBuf>,
    /// What is to be done.
    pub shot: OneShot,
    /// The command line that asks for the same, without the values of headers that are secrets.
    pub command: String,
}

impl Asked {
    /// One line that says what is about to happen.
    pub fn about(&self) -> String {
        let connections = self.shot.connections;
        let how = match self.shot.rate_per_s {
            Some(rate) => format!(
                "open loop at {}, at most {}",
                human::rate(rate),
                output::counted(connections, "connection", "connections")
            ),
            None => format!(
                "closed loop, {} flat out",
                output::counted(connections, "user", "users")
            ),
        };
        format!(
            "{} {}{} for {}, {how}",
            self.request.method,
            self.url,
            if self.http2 { " over HTTP/2" } else { "" },
            human::duration(self.shot.duration)
        )
    }

    /// Its length in microseconds.
    pub fn length_us(&self) -> u64 {
        self.shot.duration.as_micros() as u64
    }
}

/// Reads the command line, and the body from where it says.
pub fn read(arguments: &LoadArguments) -> anyhow::Result<Asked> {
    let url_text = with_scheme(&arguments.url);
    let url: HttpUrl = url_text.parse()?;
    let target = url.resolve_trusting(trust(arguments)?)?;
    ensure!(
        target.tls.is_some() || !(arguments.insecure || arguments.ca.is_some()),
        "{url_text} is without TLS: --ca and --insecure are for https:// URLs"
    );
    if let Place::Host { host, .. } = &url.place {
        ensure!(
            target.addr.is_local() || is_named(host, &arguments.allowed.hosts),
            "{host} is not this machine: if you may put load on it, say --allow-host {host}"
        );
    }
    let rate_per_s = arguments
        .rate
        .as_deref()
        .map(|text| rate("--rate", text))
        .transpose()?;
    let request = request(arguments, url.path)?;
    let cpus = affinity::inherited_cpus().context("asking for the processors")?;
    let threads = arguments.threads.map_or_else(
        || affinity::default_threads(cpus.len()),
        |threads| threads as usize,
    );
    let shot = OneShot {
        target,
        protocol: protocol(&request, arguments.http2)?,
        connections: arguments.connections as usize,
        duration: length(arguments, rate_per_s)?,
        rate_per_s,
        pacer: PacerKind::Even,
        timeout: time("--timeout", &arguments.timeout)?,
        threads,
        cpus: affinity::plan_cpus(&cpus, threads).generator,
        seed: Seed::new(0),
    };
    Ok(Asked {
        command: command(arguments, &url_text),
        url: url_text,
        place: url.place,
        request,
        http2: arguments.http2,
        ca: arguments.ca.as_ref().map(std::path::absolute).transpose()?,
        shot,
    })
}

/// `localhost:8080/path` and `:8080/path` mean `http://`, as with other tools.
fn with_scheme(url: &str) -> String {
    match url {
        _ if url.contains("://") || url.starts_with("unix:") => url.to_owned(),
        _ if url.starts_with(':') => format!("http://localhost{url}"),
        _ => format!("http://{url}"),
    }
}

/// Whose word on a certificate is taken, where there is one.
fn trust(arguments: &LoadArguments) -> anyhow::Result<Trust> {
    Ok(match &arguments.ca {
        Some(file) => Trust::from_file(file).context("--ca")?,
        None if arguments.insecure => Trust::Anyone,
        None => Trust::Platform,
    })
}

/// The request in the version of HTTP that is asked for; an error where it can't be written in that.
pub fn protocol(request: &RequestTemplate, http2: bool) -> anyhow::Result<Arc<dyn Protocol>> {
    let request = request.clone();
    if !http2 {
        return Ok(Arc::new(request));
    }
    let http2 = Http2 {
        request,
        streams: STREAMS,
    };
    http2.check().map_err(|problem| anyhow!("--http2: {problem}"))?;
    Ok(Arc::new(http2))
}

fn request(arguments: &LoadArguments, path: String) -> anyhow::Result<RequestTemplate> {
    let header = |text: &String| {
        let (name, value) = text
            .split_once(':')
            .with_context(|| format!("the header `{text}` has no colon: write -H 'NAME: VALUE'"))?;
        Ok((name.trim().to_owned(), value.trim().into()))
    };
    let body = match &arguments.body {
        Some(given) => body(given, &mut std::io::stdin().lock())?,
        None => Vec::new(),
    };
    let method = match &arguments.method {
        Some(method) => method.to_ascii_uppercase(),
        None if arguments.body.is_some() => "POST".to_owned(),
        None => "GET".to_owned(),
    };
    let headers = arguments.headers.iter().map(header);
    let request = RequestTemplate {
        method,
        path: path.into(),
        headers: headers.collect::<anyhow::Result<_>>()?,
        body: body.into(),
        ..RequestTemplate::default()
    };
    request.check()?;
    Ok(request)
}

/// The body: `-` is standard input, `@FILE` a file, anything else itself.
fn body(given: &str, stdin: &mut dyn Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let what = if given == "-" {
        stdin
            .take(BODY_MOST + 1)
            .read_to_end(&mut bytes)
            .context("reading the body from standard input")?;
        "standard input"
    } else if let Some(path) = given.strip_prefix('@') {
        let file =
            std::fs::File::open(path).and_then(|file| file.take(BODY_MOST + 1).read_to_end(&mut bytes));
        file.with_context(|| format!("reading the body from {path}"))?;
        path
    } else {
        return Ok(given.as_bytes().to_vec());
    };
    ensure!(
        bytes.len() as u64 <= BODY_MOST,
        "the body in {what} is longer than {}",
        human::bytes(BODY_MOST)
    );
    Ok(bytes)
}

/// How long requests are asked for.
fn length(arguments: &LoadArguments, rate_per_s: Option<f64>) -> anyhow::Result<Duration> {
    let length = match (arguments.requests, rate_per_s) {
        (None, _) => time("--duration", &arguments.duration)?,
        (Some(requests), Some(rate)) => {
            let seconds = requests as f64 / rate;
            // So many that the last is still asked for.
            Duration::try_from_secs_f64(seconds)
                .unwrap_or(Duration::MAX)
                .saturating_add(Duration::from_nanos(999))
        }
        (Some(_), None) => bail!("-n needs -r: without a rate, say with -d how long to go on"),
    };
    ensure!(
        length >= Duration::from_millis(1) && length <= LONGEST,
        "a load lasts between 1 ms and {}, not {}",
        human::duration(LONGEST),
        human::duration(length)
    );
    Ok(length)
}

fn time(name: &str, text: &str) -> anyhow::Result<Duration> {
    parse_duration(text).with_context(|| format!("{name} {text}"))
}

/// A rate with its unit, or requests per second where there is none, as other load generators take it.
pub fn rate(name: &str, text: &str) -> anyhow::Result<f64> {
    let rate = match text.parse::<f64>() {
        Ok(number) => number,
        Err(_) => Rate::parse(text).with_context(|| format!("{name} {text}"))?.get(),
    };
    ensure!(
        rate > 0.0 && rate.is_finite(),
        "{name} {text}: a rate must be above zero"
    );
    Ok(rate)
}

/// Whether the value of a header is nobody's business but the service's.
pub fn is_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "api-key",
        "apikey",
        "password",
    ]
    .iter()
    .any(|part| header.contains(part))
}

/// The command line that asks for the same. A body that is long, and values of headers that are secrets, are left out.
fn command(arguments: &LoadArguments, url: &str) -> String {
    let mut words = vec!["squall".to_owned(), "load".to_owned(), shell(url)];
    let mut option = |name: &str, value: Option<&str>| {
        words.extend(value.map(|value| format!("{name} {}", shell(value))));
    };
    option("-c", Some(&arguments.connections.to_string()));
    let requests = arguments.requests.map(|requests| requests.to_string());
    option("-n", requests.as_deref());
    option("-d", requests.is_none().then_some(arguments.duration.as_str()));
    option("-r", arguments.rate.as_deref());
    option("-m", arguments.method.as_deref());
    for header in &arguments.headers {
        match header.split_once(':') {
            Some((name, _)) if is_secret(name) => option("-H", Some(&format!("{name}: [redacted]"))),
            _ => option("-H", Some(header)),
        }
    }
    let body = arguments
        .body
        .as_deref()
        .map(|body| if body.len() > 200 { "[a long body]" } else { body });
    option("-b", body);
    let ca = arguments.ca.as_ref().map(|file| file.display().to_string());
    option("--ca", ca.as_deref());
    option("--timeout", Some(&arguments.timeout));
    for (given, flag) in [(arguments.http2, "--http2"), (arguments.insecure, "--insecure")] {
        words.extend(given.then(|| flag.to_owned()));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn asked(words: &[&str]) -> Result<Asked, String> {
        let all = ["squall", "load"].iter().chain(words);
        let arguments = Arguments::try_parse_from(all).map_err(|e| e.to_string())?;
        let Command::Load(arguments) = arguments.command else {
            panic!("{words:?} is another command")
        };
        read(&arguments).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn urls_may_lack_their_scheme() {
        let table = [
            ("127.0.0.1:8080/a?b=c", "127.0.0.1:8080", "/a?b=c"),
            ("localhost", "127.0.0.1:80", "/"),
            (":8080/x", "127.0.0.1:8080", "/x"),
            ("[::1]:81", "[::1]:81", "/"),
            ("http://127.0.0.1", "127.0.0.1:80", "/"),
            ("https://localhost/a", "127.0.0.1:443", "/a"),
            ("unix:/run/app.sock:/a", "unix:/run/app.sock", "/a"),
        ];
        for (url, address, path) in table {
            let asked = asked(&[url]).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(
                (asked.shot.target.addr.to_string(), asked.request.path.to_string()),
                (address.to_owned(), path.to_owned()),
                "{url}"
            );
        }
    }

    #[test]
    fn a_body_makes_it_a_post_unless_a_method_is_given() {
        let method = |words: &[&str]| asked(words).unwrap().request.method;
        assert_eq!(method(&["127.0.0.1"]), "GET");
        assert_eq!(method(&["127.0.0.1", "-b", "x"]), "POST");
        assert_eq!(method(&["127.0.0.1", "-b", "x", "-m", "put"]), "PUT");
    }

    #[test]
    fn a_body_comes_from_a_file_or_from_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        std::fs::write(&path, [0, 255, b'\n']).unwrap();
        assert_eq!(
            body(&format!("@{}", path.display()), &mut std::io::empty()).unwrap(),
            [0, 255, b'\n']
        );
        assert_eq!(body("-", &mut &b"{}\n"[..]).unwrap(), b"{}\n");
        assert_eq!(body("{}", &mut &b"other"[..]).unwrap(), b"{}");
        let endless = body("-", &mut std::io::repeat(0)).unwrap_err().to_string();
        assert_eq!(endless, "the body in standard input is longer than 64.0 MiB");
    }

    #[test]
    fn so_many_requests_take_as_long_as_their_rate_says() {
        let shot = asked(&["127.0.0.1", "-n", "1000", "-r", "2k/s"]).unwrap().shot;
        assert_eq!(shot.duration.as_millis(), 500);
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        let wrong: [&[&str]; 14] = [
            &["unix:app.sock"],
            &["127.0.0.1", "--insecure"],
            &["https://127.0.0.1/", "--ca", "/no/such/file"],
            &["127.0.0.1", "--http2", "-H", "connection: close"],
            &["https://192.0.2.1/"],
            &["ftp://127.0.0.1/"],
            &["http://me@127.0.0.1/"],
            &["192.0.2.1:80"],
            &["127.0.0.1", "-H", "no colon"],
            &["127.0.0.1", "-H", "a b: c"],
            &["127.0.0.1", "-r", "0"],
            &["127.0.0.1", "-d", "10"],
            &["127.0.0.1", "-n", "10"],
            &["127.0.0.1", "-b", "@/no/such/file"],
        ];
        let said: Vec<String> = wrong
            .iter()
            .map(|words| asked(words).err().unwrap_or_else(|| panic!("{words:?} passed")))
            .collect();
        expect_test::expect![[r#"
            reading the URL "unix:app.sock": the socket's path must begin with /: unix:/run/app.sock:/path
            http://127.0.0.1 is without TLS: --ca and --insecure are for https:// URLs
            --ca: reading the certificates in /no/such/file: No such file or directory (os error 2)
            --http2: the header "connection" is one of HTTP/1.1 connections; leave it out with `version: 2`
            192.0.2.1 is not this machine: if you may put load on it, say --allow-host 192.0.2.1
            reading the URL "ftp://127.0.0.1/": it must begin with http://, https:// or unix:/
            reading the URL "http://me@127.0.0.1/": user names in URLs are not supported; use a header
            192.0.2.1 is not this machine: if you may put load on it, say --allow-host 192.0.2.1
            the header `no colon` has no colon: write -H 'NAME: VALUE'
            the header "a b": "c" has bytes that a header cannot carry
            --rate 0: a rate must be above zero
            --duration 10: `10` has no unit: write 10s or 10ms
            -n needs -r: without a rate, say with -d how long to go on
            reading the body from /no/such/file: No such file or directory (os error 2)"#]]
        .assert_eq(&said.join("\n"));
    }

    #[test]
    fn another_machine_needs_to_be_named_exactly() {
        assert!(asked(&["192.0.2.1:80", "--allow-host", "192.0.2.1"]).is_ok());
        assert!(asked(&["[2001:db8::1]:80", "--allow-host", "[2001:db8::1]"]).is_ok());
        assert!(asked(&["192.0.2.1:80", "--allow-host", "192.0.2.10"]).is_err());
        assert!(asked(&["192.0.2.1:80", "--allow-host", "2.1"]).is_err());
    }

    #[test]
    fn the_command_line_is_recorded_without_secrets() {
        let words = [
            "127.0.0.1:1/x",
            "-H",
            "Authorization: Bearer abc",
            "-H",
            "X-A: it's",
            "-b",
            "{}",
            "-r",
            "5/s",
        ];
        assert_eq!(
            asked(&words).unwrap().command,
            r"squall load http://127.0.0.1:1/x -c 64 -d 10s -r 5/s -H 'Authorization: [redacted]' -H 'X-A: it'\''s' -b '{}' --timeout 30s"
        );
        let secured = asked(&["https://localhost", "--http2", "--insecure"]).unwrap();
        assert_eq!(
            secured.command,
            "squall load https://localhost -c 64 -d 10s --timeout 30s --http2 --insecure"
        );
        assert!(
            secured
                .about()
                .starts_with("GET https://localhost over HTTP/2 for 10.0 s, "),
            "{}",
            secured.about()
        );
    }
}
