//! A page in the browser, led over the `DevTools` protocol: what is asked is answered, and what the page does meanwhile is kept.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::chromium::{Chromium, PATIENCE};

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub scripts: bool,
    pub print: bool,
}

/// A usual screen, light, with scripts.
pub const SCREEN: Screen = Screen {
    width: 1280,
    height: 800,
    dark: false,
    scripts: true,
    print: false,
};

/// One page of its own, with a connection of its own.
pub struct Tab {
    socket: WebSocket<TcpStream>,
    session: String,
    context: String,
    asked: u64,
    /// Events that came, in order: name and parameters.
    events: Vec<(String, Value)>,
    /// Closed last: the browser may end with it.
    browser: Arc<Chromium>,
}

impl Tab {
    /// Opens a page from its text, and waits until it has loaded. `hash` is the end of its address: empty or `#...`.
    pub fn open(browser: &Arc<Chromium>, screen: Screen, html: &str, hash: &str) -> Tab {
        let file = tempfile::Builder::new()
            .suffix(".html")
            .tempfile_in(browser.folder.path())
            .expect("a file");
        std::fs::write(file.path(), html).expect("written");
        let mut tab = Tab::blank(browser);
        tab.prepare(screen);
        let address = format!("file://{}{hash}", file.path().display());
        tab.events.clear();
        tab.ask("Page.navigate", &json!({ "url": address }));
        tab.wait("Page.loadEventFired");
        if screen.scripts {
            tab.frames();
        }
        tab
    }

    fn blank(browser: &Arc<Chromium>) -> Tab {
        let stream = TcpStream::connect(&browser.address).expect("the browser listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let url = format!("ws://{}{}", browser.address, browser.path);
        let (socket, _) = tungstenite::client(url, stream).expect("the browser speaks WebSocket");
        let mut tab = Tab {
            socket,
            session: String::new(),
            context: String::new(),
            asked: 0,
            events: Vec::new(),
            browser: browser.clone(),
        };
        tab.context = text(&tab.ask("Target.createBrowserContext", &json!({}))["browserContextId"]);
        let target = json!({ "url": "about:blank", "browserContextId": tab.context });
        let target = text(&tab.ask("Target.createTarget", &target)["targetId"]);
        let attached = tab.ask(
            "Target.attachToTarget",
            &json!({ "targetId": target, "flatten": true }),
        );
        tab.session = text(&attached["sessionId"]);
        tab
    }

    fn prepare(&mut self, screen: Screen) {
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            self.ask(&format!("{domain}.enable"), &json!({}));
        }
        self.ask("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        self.resize(screen);
        if !screen.scripts {
            self.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        }
    }

    /// Another screen for the same page.
    pub fn resize(&mut self, screen: Screen) {
        let (width, height) = (screen.width, screen.height);
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if screen.dark { "dark" } else { "light" };
        let media = json!({
            "media": if screen.print { "print" } else { "" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }],
        });
        self.ask("Emulation.setEmulatedMedia", &media);
    }

    /// Asks the browser and waits for the answer, which must be no error.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .expect("the browser is there");
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.next(until, method);
            if answer["id"] == json!(self.asked) {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// Waits for an event that came or comes.
    fn wait(&mut self, name: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.events.iter().any(|(event, _)| event == name) {
            self.next(until, name);
        }
    }

    /// The next message; events are kept.
    fn next(&mut self, until: Instant, waited_for: &str) -> Value {
        loop {
            assert!(Instant::now() < until, "waited in vain for {waited_for}");
            let message = self
                .socket
                .read()
                .unwrap_or_else(|error| panic!("waiting for {waited_for}: {error}"));
            let Message::Text(message) = message else { continue };
            let message: Value = serde_json::from_str(&message).expect("JSON");
            if let Some(name) = message["method"].as_str() {
                let dialog = name == "Page.javascriptDialogOpening";
                self.events.push((name.to_owned(), message["params"].clone()));
                if dialog {
                    // The page stands still until somebody answers; the test sees the event.
                    let close = json!({
                        "id": 0, "method": "Page.handleJavaScriptDialog", "params": { "accept": false },
                        "sessionId": self.session,
                    });
                    self.socket
                        .send(Message::text(close.to_string()))
                        .expect("the browser is there");
                }
            }
            return message;
        }
    }

    /// What an expression is in the page; promises are waited for.
    pub fn eval<T: DeserializeOwned>(&mut self, expression: &str) -> T {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", &ask);
        let failed = answer.get("exceptionDetails");
        assert!(
            failed.is_none(),
            "{expression}: {}",
            failed.unwrap_or(&Value::Null)
        );
        serde_json::from_value(answer["result"]["value"].clone())
            .unwrap_or_else(|error| panic!("{expression}: {error}: {}", answer["result"]))
    }

    /// Waits until the page has shown what was done to it.
    pub fn frames(&mut self) {
        let _: bool = self.eval(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))",
        );
    }

    /// A key that has no character, or one that has; `Shift+` before it holds that down.
    pub fn key(&mut self, key: &str) {
        let (key, modifiers) = match key.strip_prefix("Shift+") {
            Some(key) => (key, 8),
            None => (key, 0),
        };
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "+" => 187,
            "-" => 189,
            _ => panic!("a key that no test needed yet: {key}"),
        };
        let text = match key {
            "Enter" => "\r",
            "+" | "-" => key,
            _ => "",
        };
        let down = json!({
            "type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text, "modifiers": modifiers,
        });
        self.ask("Input.dispatchKeyEvent", &down);
        let up = json!({ "type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        self.ask("Input.dispatchKeyEvent", &up);
    }

    /// `mouseMoved`, `mousePressed` or `mouseReleased` at a point of the screen.
    pub fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
        self.ask("Input.dispatchMouseEvent", &event);
    }

    /// A click on the first element that a selector finds.
    pub fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const one = document.querySelector({selector:?}); one.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.eval(&middle);
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.mouse(kind, at);
        }
    }

    /// The events of a name.
    pub fn events(&self, name: &str) -> Vec<&Value> {
        let of_name = self.events.iter().filter(|(event, _)| event == name);
        of_name.map(|(_, parameters)| parameters).collect()
    }

    /// What went wrong in the page: errors and warnings on the console, exceptions, what the policy refused.
    pub fn complaints(&self) -> Vec<String> {
        let said = self
            .events
            .iter()
            .filter(|(name, parameters)| match name.as_str() {
                "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => true,
                "Runtime.consoleAPICalled" => parameters["type"] != "log",
                "Log.entryAdded" => parameters["entry"]["level"] != "verbose",
                _ => false,
            });
        said.map(|(name, parameters)| format!("{name}: {parameters}"))
            .collect()
    }

    /// Addresses that were asked for.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.events("Network.requestWillBeSent");
        asked.iter().map(|one| text(&one["request"]["url"])).collect()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // The page closes with what it was opened in; a browser that is gone has closed it already.
        let close = json!({
            "id": 0, "method": "Target.disposeBrowserContext", "params": { "browserContextId": self.context },
        });
        let _ = self.socket.send(Message::text(close.to_string()));
        let _ = &self.browser;
    }
}

/// A text that must be one.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
