//! `--save FILE`: the load as a scenario, with comments for whoever goes on from there.
//!
//! What is written is read back first: a file that would not send the very same request is not written.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use squall_engine::plan::{self, Plan, Settings, Start};
use squall_load::http1::RequestTemplate;
use squall_load::url::Place;
use squall_load::{Arrivals, Text, Trust};
use squall_model::diagnostic::Diagnostics;
use squall_model::name::Name;
use squall_model::placeholder::Template;
use squall_model::scenario;
use squall_model::units::{Rate, duration_text};

use super::asked::{Asked, is_secret, protocol};
use crate::catalogue;
use crate::quoting::yaml;

/// The methods for which a scenario has a key.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A header whose value stays out of the file: it comes from this variable.
struct Secret {
    variable: String,
    value: String,
}

/// Writes the scenario to `file`; a sentence about what to do with it.
pub fn keep(asked: &Asked, file: &Path, force: bool) -> anyhow::Result<String> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
    let name = stem
        .filter(|stem| Name::new(stem).is_ok())
        .unwrap_or_else(|| "kept".to_owned());
    let (request, secrets) = without_secrets(&wanted(asked));
    let text = scenario(asked, &name, &request, &secrets)?;
    check(asked, &text, &secrets).with_context(|| format!("--save {}", file.display()))?;
    write(file, &text, force)?;
    let mut told = format!("kept as {}: squall run {}", file.display(), file.display());
    if let Some(first) = secrets.first() {
        let _ = write!(
            told,
            "; it reads the secret header from the environment: set {}",
            first.variable
        );
    }
    Ok(told)
}

/// The request with the `Host` header that it is sent with; a run would fill in the address.
fn wanted(asked: &Asked) -> RequestTemplate {
    let mut request = asked.request.clone();
    let target = &asked.shot.target;
    let has_host = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !has_host && (target.tls.is_some() || target.host != target.addr.to_string()) {
        request
            .headers
            .insert(0, ("Host".to_owned(), target.host.as_str().into()));
    }
    request
}

fn without_secrets(request: &RequestTemplate) -> (RequestTemplate, Vec<Secret>) {
    let mut request = request.clone();
    let mut secrets = Vec::new();
    for (name, value) in &mut request.headers {
        if is_secret(name) && !value.is_empty() {
            let variable = name
                .to_ascii_uppercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let reference = format!("${{{variable}}}");
            secrets.push(Secret {
                variable,
                value: plain(value),
            });
            *value = reference.into();
        }
    }
    (request, secrets)
}

fn scenario(
    asked: &Asked,
    name: &str,
    request: &RequestTemplate,
    secrets: &[Secret],
) -> anyhow::Result<String> {
    let (http, shot) = (http(request, asked.http2)?, &asked.shot);
    let variables: Vec<&str> = secrets.iter().map(|secret| secret.variable.as_str()).collect();
    let secrets = match variables.as_slice() {
        [] => String::new(),
        names => format!(
            "# From the environment; taken out of records and reports.\nsecrets: [{}]\n\n",
            names.join(", ")
        ),
    };
    let about = yaml(&unread(&format!("One load on {}.", asked.url)));
    let (address, arrivals) = (service(asked), arrivals(asked));
    let (timeout, length) = (duration_text(shot.timeout), duration_text(shot.duration));
    let expected = match shot.rate_per_s {
        Some(_) => r#"["request.errors < 1%", "request.achieved > 99%"]"#,
        None => r#"["request.errors < 1%"]"#,
    };
    Ok(format!(
        "# Made by `squall load --save`. `squall check` finds every error in it, `squall plan` shows what it would do.\n\
         squall: 1\n\
         name: {name}\n\
         about: {about}\n\
         seed: 0\n\
         \n\
         {secrets}\
         services:\n\
         \x20 # Something that already runs; with `run: [./program, \"{{port}}\"]` squall starts it.\n\
         \x20 target: {{ at: {address} }}\n\
         \n\
         load:\n\
         \x20 request:\n\
         \x20   to: target\n\
         \x20   http:\n\
         {http}\
         {arrivals}\
         \x20   timeout: {timeout}\n\
         \n\
         phases:\n\
         \x20 # A warm-up would stand before: {{ phase: warm-up, for: 5s, measure: false }}\n\
         \x20 - {{ phase: steady, for: {length}, baseline: true }}\n\
         \n\
         expect:\n\
         \x20 # And such as \"request.p99 < 20ms\".\n\
         \x20 steady: {expected}\n"
    ))
}

/// The request as the keys of a scenario.
fn http(request: &RequestTemplate, http2: bool) -> anyhow::Result<String> {
    let method = &request.method;
    ensure!(
        METHODS.contains(&method.as_str()),
        "--save: a scenario has no key for the method {method}"
    );
    let body = request.body.as_literal().map(<[u8]>::to_vec);
    let body = body
        .and_then(|body| String::from_utf8(body).ok())
        .context("--save: the body is not UTF-8, and a scenario is text")?;
    let mut lines = format!(
        "      {}: {}\n",
        method.to_lowercase(),
        literal(&plain(&request.path))
    );
    if !request.headers.is_empty() {
        lines.push_str("      headers:\n");
    }
    for (name, value) in &request.headers {
        // A secret is a reference already.
        let value = plain(value);
        let value = if is_secret(name) {
            yaml(&value)
        } else {
            literal(&value)
        };
        let _ = writeln!(lines, "        {}: {value}", yaml(name));
    }
    if !body.is_empty() {
        let _ = writeln!(lines, "      body: {}", literal(&body));
    }
    if http2 {
        lines.push_str("      version: 2\n");
    }
    Ok(lines)
}

fn arrivals(asked: &Asked) -> String {
    let connections = asked.shot.connections;
    let line = |key: &str, value: &str, comment: &str| {
        let key = format!("{key}: {value}");
        format!("    {key:<20} # {comment}\n")
    };
    match asked.shot.rate_per_s {
        Some(rate) => {
            let rate = Rate::per_second(rate).to_string();
            line(
                "rate",
                &rate,
                "open loop; `arrivals: poisson` is more like people",
            ) + &line("connections", &connections.to_string(), "at most")
        }
        None => line(
            "users",
            &connections.to_string(),
            "closed loop: it can't see queueing; `rate: 1k/s` can",
        ),
    }
}

/// Where the service is, and how its TLS is checked.
fn service(asked: &Asked) -> String {
    let (addr, Some(tls)) = (address(asked), &asked.shot.target.tls) else {
        return yaml(&unread(&address(asked)));
    };
    // The name that the URL has, since the address is the one that it stood for.
    let mut keys = vec![format!("name: {}", yaml(&tls.name))];
    match (&tls.trust, &asked.ca) {
        (Trust::Anyone, _) => keys.push("insecure: true".to_owned()),
        (_, Some(ca)) => keys.push(format!("ca: {}", yaml(&unread(&ca.to_string_lossy())))),
        (_, None) => {}
    }
    let at = yaml(&format!("https://{addr}"));
    format!("{at}, tls: {{ {} }}", keys.join(", "))
}

/// The address for this machine, else the name that was allowed.
fn address(asked: &Asked) -> String {
    let addr = &asked.shot.target.addr;
    match &asked.place {
        Place::Host { host, port } if !addr.is_local() && host.contains(':') => format!("[{host}]:{port}"),
        Place::Host { host, port } if !addr.is_local() => format!("{host}:{port}"),
        _ => addr.to_string(),
    }
}

/// A text of the command line, which has no placeholders.
fn plain(text: &Text) -> String {
    String::from_utf8_lossy(text.as_literal().unwrap_or_default()).into_owned()
}

/// A text that is sent as it stands: no placeholder, nothing from the environment.
fn literal(text: &str) -> String {
    yaml(&unread(&Template::literal(text).to_string()))
}

/// A text in which nothing is read from the environment.
fn unread(text: &str) -> String {
    text.replace("${", "$${")
}

/// Reads the text as `squall run` would, and holds it to what was asked for.
fn check(asked: &Asked, text: &str, secrets: &[Secret]) -> anyhow::Result<()> {
    let plan = planned(asked, text, secrets)?;
    let ([load], [phase], [service]) = (
        plan.loads.as_slice(),
        plan.phases.as_slice(),
        plan.services.as_slice(),
    ) else {
        bail!("the scenario has not one load, one phase and one service");
    };
    let shot = &asked.shot;
    // A plan hides the kind of its request; what it is made of is all in its `Debug` form.
    let sent =
        format!("{:?}", load.asked.protocol) == format!("{:?}", protocol(&wanted(asked), asked.http2)?);
    let there = matches!(&service.start, Start::At { address: at } if at.to_string() == address(asked))
        && service.tls == shot.target.tls;
    let arrivals = match phase.arrivals.as_slice() {
        [Arrivals::Open { rate_per_s, pacer }] => {
            shot.rate_per_s
                .is_some_and(|rate| (rate - rate_per_s).abs() <= rate * 1e-9)
                && *pacer == shot.pacer
                && load.connections == shot.connections
        }
        [Arrivals::Closed { users, think }] => {
            shot.rate_per_s.is_none() && *users == shot.connections && think.is_none()
        }
        _ => false,
    };
    let times = load.timeout == shot.timeout && phase.length == shot.duration;
    ensure!(
        sent && there && arrivals && times,
        "this load can't be said in a scenario without changing it: {}",
        [
            (sent, "the request"),
            (there, "where it goes"),
            (arrivals, "the rate"),
            (times, "the times")
        ]
        .iter()
        .find(|(same, _)| !same)
        .map_or("", |(_, what)| what)
    );
    Ok(())
}

fn planned(asked: &Asked, text: &str, secrets: &[Secret]) -> anyhow::Result<Plan> {
    let environment = |name: &str| {
        let secret = secrets.iter().find(|secret| secret.variable == name);
        secret.map(|secret| secret.value.clone())
    };
    let (scenario, mut diagnostics, _) = scenario::parse_with("the scenario", text, &[], &environment);
    let settings = Settings {
        secrets: Vec::new(),
        arm: squall_model::gate::Arm::Candidate,
        seed: None,
        drawn: 0,
        quick: false,
        base: std::path::PathBuf::from("."),
        // The user has allowed it already.
        allow_hosts: match &asked.place {
            Place::Host { host, .. } => vec![host.clone()],
            Place::Unix(_) => Vec::new(),
        },
        source: String::new(),
        stored: None,
    };
    let plan = match scenario {
        Some(scenario) => plan::compile(&scenario, &catalogue::catalogue()?, settings, &mut diagnostics),
        None => None,
    };
    plan.with_context(|| format!("this load can't be said in a scenario: {}", first(&diagnostics)))
}

fn first(diagnostics: &Diagnostics) -> String {
    let sorted = diagnostics.sorted();
    sorted.first().map(|one| one.message.clone()).unwrap_or_default()
}

/// Writes a file that is not there yet, or with `force` one that is.
fn write(file: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let opened = if force {
        File::create(file)
    } else {
        File::create_new(file)
    };
    if let Err(e) = &opened
        && e.kind() == std::io::ErrorKind::AlreadyExists
    {
        bail!("--save: {} is already there; --force replaces it", file.display());
    }
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("--save: writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn asked(words: &[&str]) -> Asked {
        let all = ["squall", "load"].iter().chain(words);
        let Command::Load(arguments) = Arguments::try_parse_from(all).unwrap().command else {
            panic!("{words:?} is another command")
        };
        super::super::asked::read(&arguments).unwrap()
    }

    /// The text for a command line, after it was found to say the same.
    fn kept(words: &[&str]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.yaml");
        keep(&asked(words), &file, false)
            .map_err(|e| format!("{e:#}").replace(&folder.path().display().to_string(), "FOLDER"))?;
        Ok(std::fs::read_to_string(file).unwrap())
    }

    #[test]
    fn an_open_loop_is_kept_with_comments() {
        let words = [
            "localhost:8080/orders?a=b",
            "-r",
            "250",
            "-d",
            "90s",
            "-c",
            "8",
            "-H",
            "X-A: {b} ${C}",
            "-b",
            "{\"id\": \"{id}\"}\n",
        ];
        expect_test::expect![[r#"
            # Made by `squall load --save`. `squall check` finds every error in it, `squall plan` shows what it would do.
            squall: 1
            name: shop
            about: "One load on http://localhost:8080/orders?a=b."
            seed: 0

            services:
              # Something that already runs; with `run: [./program, "{port}"]` squall starts it.
              target: { at: "127.0.0.1:8080" }

            load:
              request:
                to: target
                http:
                  post: "/orders?a=b"
                  headers:
                    "Host": "localhost:8080"
                    "X-A": "{{b} $${C}"
                  body: "{\"id\": \"{{id}\"}\n"
                rate: 250/s          # open loop; `arrivals: poisson` is more like people
                connections: 8       # at most
                timeout: 30s

            phases:
              # A warm-up would stand before: { phase: warm-up, for: 5s, measure: false }
              - { phase: steady, for: 1m30s, baseline: true }

            expect:
              # And such as "request.p99 < 20ms".
              steady: ["request.errors < 1%", "request.achieved > 99%"]
        "#]].assert_eq(&kept(&words).unwrap());
    }

    #[test]
    fn whatever_a_command_line_says_is_kept_or_refused_and_never_changed() {
        // `keep` compares what it wrote with what was asked for; a difference is an error here.
        let words: [&[&str]; 15] = [
            &["127.0.0.1:1"],
            &["unix:/run/$app.sock:/a?b", "-H", "Host: me"],
            &["unix:/run/app.sock", "--http2"],
            &["https://localhost:8443/a", "--insecure"],
            &["https://127.0.0.1:443/", "--http2"],
            &["https://[::1]/"],
            &["127.0.0.1:1", "--http2", "-b", "hello", "-r", "9/s"],
            &["[::1]:81/x", "-c", "1"],
            &["127.0.0.1:1/{a}/{{b}}/${HOME}/$${X}"],
            &[
                "127.0.0.1:1",
                "-b",
                "{{\u{1}\u{7f}\u{85}\u{2028}\u{feff}tab\t\"quote\\ # no: comment",
            ],
            &["127.0.0.1:1", "-b", "true", "-m", "patch"],
            &["127.0.0.1:1", "-r", "0.3", "-d", "1h30m"],
            &["127.0.0.1:1", "-r", "1234.5678", "-n", "77"],
            &["127.0.0.1:1", "-H", "X-Empty:", "-H", "on: yes", "-H", "~: null"],
            &["127.0.0.1:1", "--timeout", "1500us"],
        ];
        for words in words {
            let text = kept(words);
            assert!(text.is_ok(), "{words:?}: {text:?}");
        }
    }

    #[test]
    fn who_may_answer_is_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(&ca, own.cert.pem()).unwrap();
        let ca = ca.display().to_string();
        let text = kept(&["https://localhost:8443/a", "--ca", &ca, "--http2"]).unwrap();
        let service = format!(
            r#"target: {{ at: "https://127.0.0.1:8443", tls: {{ name: "localhost", ca: "{ca}" }} }}"#
        );
        assert!(text.contains(&service), "{text}");
        assert!(
            text.contains("      version: 2\n") && text.contains(r#""Host": "localhost:8443""#),
            "{text}"
        );
    }

    #[test]
    fn a_secret_header_stays_out_of_the_file() {
        let text = kept(&["127.0.0.1:1", "-H", "Authorization: Bearer hush"]).unwrap();
        assert!(
            !text.contains("hush") && text.contains("secrets: [AUTHORIZATION]"),
            "{text}"
        );
        assert!(text.contains(r#""Authorization": "${AUTHORIZATION}""#), "{text}");
    }

    #[test]
    fn what_a_scenario_cannot_say_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let body = folder.path().join("body");
        std::fs::write(&body, [0xff]).unwrap();
        let body = format!("@{}", body.display());
        let said = [
            kept(&["127.0.0.1:1", "-m", "options"]).unwrap_err(),
            kept(&["127.0.0.1:1", "-b", &body]).unwrap_err(),
            kept(&["127.0.0.1:1", "-H", "A: 1", "-H", "A: 2"]).unwrap_err(),
        ];
        expect_test::expect![[r"
            --save: a scenario has no key for the method OPTIONS
            --save: the body is not UTF-8, and a scenario is text
            --save FOLDER/shop.yaml: this load can't be said in a scenario: the key `A` is there twice"]]
        .assert_eq(&said.join("\n"));
    }

    #[test]
    fn a_file_that_is_there_stays_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept.yaml");
        std::fs::write(&file, "mine").unwrap();
        let asked = asked(&["127.0.0.1:1"]);
        let error = keep(&asked, &file, false).unwrap_err().to_string();
        assert!(error.contains("already there; --force"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        keep(&asked, &file, true).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().contains("name: kept"));
    }
}
