//! From blocks to formats, one file each. A renderer knows blocks and no run; all escaping happens here.

mod csv;
mod html;
mod junit;
mod markdown;
mod terminal;

pub use csv::csv;
pub(crate) use html::escaped;
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use terminal::terminal;
