//! Nacos 1.x's open HTTP API for configuration, as far as both ends name it: paths and headers.

use hyper::header::HeaderName;

/// Where contents are read, published and deleted.
pub const CONFIGS: &str = "/nacos/v1/cs/configs";
/// Where a client asks, and may wait, for what has changed.
pub const LISTENER: &str = "/nacos/v1/cs/configs/listener";
/// Where a server says that it is there.
pub const LIVENESS: &str = "/nacos/v1/console/health/liveness";

/// How long a poll may hang, in milliseconds.
pub const HANGS: HeaderName = HeaderName::from_static("long-pulling-timeout");
/// Whether a poll is to be answered at once.
pub const NO_HANGUP: HeaderName = HeaderName::from_static("long-pulling-timeout-no-hangup");
/// The MD5 of the content that comes with it.
pub const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// The type of the content that comes with it, such as `json`.
pub const CONFIG_TYPE: HeaderName = HeaderName::from_static("config-type");
/// Squall's own: `true` in a poll that hangs asks for what has changed along with the word that it has. A real Nacos passes it over.
pub const WITH_CONTENT: HeaderName = HeaderName::from_static("squall-with-content");
/// Squall's own: what has changed, as the listener's body says it, where the body is the content itself.
pub const CHANGED: HeaderName = HeaderName::from_static("squall-changed");
/// Squall's own: the change that gave a configuration its content, or took it away. A real Nacos does not send it.
pub const VERSION: HeaderName = HeaderName::from_static("squall-version");
