//! A picture as PNG, drawn with `resvg` and a font of its own: Noto Sans, which comes with the program, so that a picture is the
//! same on every machine. It has Latin, Greek and Cyrillic letters; others are drawn as boxes.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Pixels per CSS pixel, for dense screens.
const SCALE: f32 = 2.0;

/// Why there is no PNG.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// It is no SVG that can be drawn.
    #[error("drawing the picture: {0}")]
    Draw(#[from] resvg::usvg::Error),
    /// It has no size, or one beyond memory.
    #[error("a picture of {0} x {1} pixels cannot be drawn")]
    Size(u32, u32),
    /// It could not be written as PNG.
    #[error("writing the picture as PNG: {0}")]
    Encode(String),
}

/// `svg`, as [`super::picture`] makes it, as the bytes of a PNG, twice as many pixels wide and high.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
    fonts.load_font_data(notosans::BOLD_TTF.to_vec());
    fonts.set_sans_serif_family("Noto Sans");
    let options = Options {
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size();
    let size = size
        .scale_by(SCALE)
        .ok_or(PngError::Size(size.width(), size.height()))?;
    let (width, height) = (size.width(), size.height());
    let mut pixels = Pixmap::new(width, height).ok_or(PngError::Size(width, height))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels
        .encode_png()
        .map_err(|error| PngError::Encode(error.to_string()))
}
