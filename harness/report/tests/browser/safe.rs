//! Nothing gets out of the page and nothing gets in.

use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;

use serde_json::Value;

use crate::chromium::chromium;
use crate::hostile::hostile;
use crate::page;
use crate::tab::{SCREEN, Tab};

#[test]
fn the_page_complains_of_nothing_and_asks_for_nothing_but_itself() {
    let Some(browser) = chromium() else { return };
    for dark in [false, true] {
        let mut tab = Tab::open(&browser, crate::tab::Screen { dark, ..SCREEN }, &page(), "");
        tab.key("Tab");
        tab.frames();
        assert_eq!(tab.complaints(), [""; 0]);
        let requests = tab.requests();
        assert!(
            requests.len() == 1 && requests[0].starts_with("file:///"),
            "{requests:?}"
        );
    }
}

#[test]
fn the_policy_refuses_scripts_styles_and_images_that_got_in() {
    let Some(browser) = chromium() else { return };
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    other.set_nonblocking(true).expect("a socket");
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let expression = "(async () => {
           const refused = [];
           document.addEventListener('securitypolicyviolation', event => refused.push(event.effectiveDirective));
           const add = (name, fill) => { const one = document.createElement(name); fill(one); document.body.append(one); };
           add('script', one => one.textContent = 'window.injected = 1');
           add('style', one => one.textContent = 'body { margin-left: 77px }');
           add('div', one => one.setAttribute('style', 'color: red'));
           add('div', one => one.innerHTML = '<b onclick=\"window.injected = 2\">b</b>');
           document.body.lastChild.firstChild.click();
           add('img', one => one.src = 'http://OTHER/x.png');
           add('iframe', one => one.src = 'http://OTHER/');
           await fetch('http://OTHER/').catch(() => {});
           for (let turn = 0; turn < 500 && refused.length < 7; turn += 1) await new Promise(done => setTimeout(done, 20));
           return refused.sort();
         })()";
    let address = other.local_addr().expect("a port").to_string();
    let refused: Vec<String> = tab.eval(&expression.replace("OTHER", &address));
    assert_eq!(
        refused,
        [
            "connect-src",
            "frame-src",
            "img-src",
            "script-src-attr",
            "script-src-elem",
            "style-src-attr",
            "style-src-elem",
        ]
    );
    let (injected, margin): (Value, String) =
        tab.eval("[window.injected ?? null, getComputedStyle(document.body).marginLeft]");
    assert_eq!((injected, margin.as_str()), (Value::Null, "0px"));
    // A browser may connect ahead of what it then is forbidden; no byte goes over such a connection.
    while let Ok((mut stream, _)) = other.accept() {
        stream.set_nonblocking(true).expect("a socket");
        let sent = stream.read(&mut [0; 1]);
        let nothing = matches!(&sent, Ok(0))
            || sent
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(nothing, "another origin was asked: {sent:?}");
    }
}

#[test]
fn what_a_hostile_service_wrote_does_nothing() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &squall_report::html(&hostile()), "");
    assert_eq!(tab.complaints(), [""; 0], "no dialog, no refusal, no error");
    assert_eq!(tab.requests().len(), 1);
    let (scripts, styles, strange, handlers, shown): (u32, u32, Vec<String>, u32, bool) = tab.eval(
        "(() => {
           const all = [...document.querySelectorAll('*')];
           const ours = ['html', 'head', 'meta', 'title', 'style', 'body', 'header', 'nav', 'main', 'section', 'script', 'a', 'h1', 'h2',
             'p', 'div', 'span', 'strong', 'small', 'ul', 'li', 'dl', 'dt', 'dd', 'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td',
             'pre', 'code', 'figure', 'figcaption', 'button', 'output', 'svg', 'g', 'desc', 'text', 'line', 'polyline', 'polygon',
             'rect', 'circle', 'path', 'use'];
           const strange = all.map(one => one.localName).filter(name => !ours.includes(name));
           strange.push(...[...document.querySelectorAll('use')].map(one => one.href.baseVal).filter(to => !/^#heat-[0-9]+-cells$/.test(to)));
           const handlers = all.filter(one => [...one.attributes].some(other => other.name.startsWith('on'))).length;
           return [document.scripts.length, document.querySelectorAll('style').length, strange, handlers,
             document.body.innerText.includes('<script>alert(1)</script>')];
         })()",
    );
    assert_eq!((scripts, styles, handlers), (1, 1, 0));
    assert_eq!(strange, [""; 0]);
    assert!(shown, "the text itself is shown");
    // What the script does with names must not turn them into markup either.
    tab.click(".legend button");
    tab.key("Tab");
    tab.frames();
    assert_eq!(tab.complaints(), [""; 0]);
    let scripts: u32 = tab.eval("document.querySelectorAll('main script, main img, body > img').length");
    assert_eq!(scripts, 0);
}
