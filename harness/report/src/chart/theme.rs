//! From the roles that are drawn to colours.
//!
//! plotters writes each colour as `"#RRGGBB"`. The drawing uses colours that nothing real has, one per role, and this
//! module puts in their place the page's CSS variables, or fixed colours for a drawing that stands alone. The series
//! colours are those of Okabe and Ito ("Color Universal Design", 2008), which the colour-blind can tell apart; every
//! line has dashes of its own as well, for print without colour.

use plotters::style::RGBColor;

use super::Ink;

/// A part of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Text,
    Muted,
    Grid,
    Axis,
    PhaseEven,
    PhaseOdd,
    Fault,
    FaultUnproved,
    FaultText,
    StateFirst,
    StateSecond,
    StateThird,
    StateFourth,
    /// A label of the horizontal axis.
    Tick,
    /// A line, by its number in the legend.
    Line(u8, Ink),
}

/// Where the colours come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The variables of the page that the drawing is part of.
    Page,
    /// Fixed colours on white.
    Alone,
}

/// Names and fixed colours of the series.
pub(crate) const SERIES: [(&str, &str); 7] = [
    ("var(--s0)", "#0072b2"),
    ("var(--s1)", "#009e73"),
    ("var(--s2)", "#d55e00"),
    ("var(--s3)", "#aa4499"),
    ("var(--s4)", "#9a7400"),
    ("var(--s5)", "#3e8fc4"),
    ("var(--s6)", "#555555"),
];

/// How many shades the cells of a heat map have.
pub(crate) const SHADES: usize = 6;

/// From few to many, one hue whose lightness alone says how many; the page's run the other way in the dark.
const SHADE_COLOURS: [(&str, &str); SHADES] = [
    ("var(--h0)", "#dbe9f6"),
    ("var(--h1)", "#b3d0ea"),
    ("var(--h2)", "#7fb2dc"),
    ("var(--h3)", "#4690c8"),
    ("var(--h4)", "#1d69ab"),
    ("var(--h5)", "#0a3f77"),
];

/// The colour of the cells of a shade.
pub(crate) fn shade(level: usize, theme: Theme) -> &'static str {
    let (page, alone) = SHADE_COLOURS[level.min(SHADES - 1)];
    if theme == Theme::Page { page } else { alone }
}

/// Dashes, by the number of the ink: lengths of stroke and gap in pixels; empty is a whole line.
const DASHES: [&[u8]; 11] = [
    &[],
    &[8, 3],
    &[2, 2],
    &[10, 3, 2, 3],
    &[5, 5],
    &[12, 4],
    &[1, 3],
    &[6, 4],
    &[],
    &[4, 3],
    &[],
];

/// The number of an ink, which its dashes and its colour go by.
pub(crate) fn number(ink: Ink) -> u8 {
    match ink {
        Ink::Series(at) => at % SERIES.len() as u8,
        Ink::Target => 7,
        Ink::Bad => 8,
        Ink::Doubt => 9,
        Ink::Extreme => 10,
    }
}

impl Role {
    const PLAIN: [Role; 14] = [
        Role::Text,
        Role::Muted,
        Role::Grid,
        Role::Axis,
        Role::PhaseEven,
        Role::PhaseOdd,
        Role::Fault,
        Role::FaultUnproved,
        Role::FaultText,
        Role::StateFirst,
        Role::StateSecond,
        Role::StateThird,
        Role::StateFourth,
        Role::Tick,
    ];

    /// What marks the drawn thing for a script, as an attribute: what lies on the axis of time and moves with it.
    fn mark(self) -> &'static str {
        match self {
            Role::Text | Role::Muted | Role::Grid | Role::Axis | Role::Line(..) => "",
            Role::Tick => " data-x=\"\"",
            _ => " data-k=\"\"",
        }
    }

    /// Of the state of this number in a track: the one in which it began is calm; of many, the last colour is of several.
    pub(crate) fn state(number: usize) -> Role {
        match number {
            0 => Role::StateFirst,
            1 => Role::StateSecond,
            2 => Role::StateThird,
            _ => Role::StateFourth,
        }
    }

    /// The colour that stands for the role while drawing: `#01KKNN` for line K, `#0200NN` for the rest.
    pub(crate) fn stand_in(self) -> RGBColor {
        match self {
            Role::Line(line, ink) => RGBColor(1, line, number(ink)),
            plain => RGBColor(
                2,
                0,
                Role::PLAIN.iter().position(|role| *role == plain).unwrap_or(0) as u8,
            ),
        }
    }

    pub(crate) fn colour(self, theme: Theme) -> &'static str {
        let (page, alone) = match self {
            Role::Text => ("var(--text)", "#1c2330"),
            Role::Muted | Role::Tick => ("var(--muted)", "#5b6472"),
            Role::Grid => ("var(--grid)", "#e3e6eb"),
            Role::Axis => ("var(--axis)", "#9aa3b0"),
            Role::PhaseEven => ("var(--phase-even)", "#e9ecf1"),
            Role::PhaseOdd => ("var(--phase-odd)", "#dde2ea"),
            Role::Fault => ("var(--fault)", "#fdeccf"),
            Role::FaultUnproved => ("var(--fault-unproved)", "#eceef2"),
            Role::FaultText => ("var(--fault-text)", "#8a5300"),
            Role::StateFirst => ("var(--state-first)", "#dfe9e4"),
            Role::StateSecond => ("var(--state-second)", "#f3b08c"),
            Role::StateThird => ("var(--state-third)", "#b9d4ec"),
            Role::StateFourth => ("var(--state-fourth)", "#e2c3dd"),
            Role::Line(_, ink) => return line_colour(ink, theme),
        };
        if theme == Theme::Page { page } else { alone }
    }
}

fn line_colour(ink: Ink, theme: Theme) -> &'static str {
    let (page, alone) = match ink {
        Ink::Series(_) => SERIES[usize::from(number(ink))],
        Ink::Target => ("var(--muted)", "#5b6472"),
        Ink::Bad => ("var(--bad)", "#c22f2f"),
        Ink::Doubt => ("var(--doubt)", "#9a6700"),
        Ink::Extreme => ("var(--extreme)", "#8d96a3"),
    };
    if theme == Theme::Page { page } else { alone }
}

/// `svg` with every stand-in replaced. Dash lengths are multiplied by `factor`, the drawing's scale.
pub(crate) fn coloured(svg: &str, theme: Theme, factor: u32) -> String {
    let mut out = String::with_capacity(svg.len() + svg.len() / 8);
    let mut rest = svg;
    while let Some(at) = rest.find("\"#0") {
        out.push_str(&rest[..at]);
        let found = rest[at..]
            .get(..9)
            .and_then(|quoted| replacement(quoted, theme, factor));
        let taken = if let Some(text) = found {
            out.push_str(&text);
            9
        } else {
            out.push_str("\"#0");
            3
        };
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    out
}

/// What stands for `"#01KKNN"`: the colour, for a line the dashes, and what a script knows it by.
fn replacement(quoted: &str, theme: Theme, factor: u32) -> Option<String> {
    let hex = quoted.strip_prefix("\"#")?.strip_suffix('"')?;
    let part = |from: usize| u8::from_str_radix(hex.get(from..from + 2)?, 16).ok();
    let (family, line, number) = (part(0)?, part(2)?, part(4)?);
    match family {
        1 => {
            let ink = ink_of(number)?;
            let colour = Role::Line(line, ink).colour(theme);
            let dashes = dashes(number, factor);
            let dashes = dashes.map_or_else(String::new, |dashes| format!(" stroke-dasharray=\"{dashes}\""));
            Some(format!("\"{colour}\"{dashes} data-line=\"{line}\""))
        }
        2 => Role::PLAIN
            .get(usize::from(number))
            .map(|role| format!("\"{}\"{}", role.colour(theme), role.mark())),
        _ => None,
    }
}

fn ink_of(number: u8) -> Option<Ink> {
    match number {
        7 => Some(Ink::Target),
        8 => Some(Ink::Bad),
        9 => Some(Ink::Doubt),
        10 => Some(Ink::Extreme),
        series if usize::from(series) < SERIES.len() => Some(Ink::Series(series)),
        _ => None,
    }
}

/// The dashes of a line as SVG writes them; nothing for a whole line.
pub(crate) fn dashes(number: u8, factor: u32) -> Option<String> {
    let lengths = DASHES[usize::from(number)];
    let texts: Vec<String> = lengths
        .iter()
        .map(|length| (u32::from(*length) * factor).to_string())
        .collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

/// A short piece of a line for a legend, as SVG.
pub(crate) fn swatch(ink: Ink) -> String {
    let line = piece(ink, Theme::Page, (0, 5));
    format!("<svg class=\"swatch\" viewBox=\"0 0 28 10\" aria-hidden=\"true\">{line}</svg>")
}

/// The shades of a heat map for a legend, as SVG.
pub(crate) fn shades() -> String {
    let squares = squares(Theme::Page, (0, 0));
    format!(
        "<svg class=\"shades\" viewBox=\"0 0 {} 10\" aria-hidden=\"true\">{squares}</svg>",
        SHADES * 14
    )
}

/// The same as part of a drawing with colours of its own, from `at` to the right.
pub(crate) fn legend_shades(at: (u32, u32)) -> String {
    squares(Theme::Alone, at)
}

fn squares(theme: Theme, (x, y): (u32, u32)) -> String {
    let square = |level: usize| {
        let x = x as usize + level * 14;
        format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"10\" fill=\"{}\"/>",
            shade(level, theme)
        )
    };
    (0..SHADES).map(square).collect()
}

/// The same as part of a drawing with colours of its own, from `at` to the right.
pub(crate) fn legend_line(ink: Ink, at: (u32, u32)) -> String {
    piece(ink, Theme::Alone, at)
}

fn piece(ink: Ink, theme: Theme, (x, y): (u32, u32)) -> String {
    let colour = line_colour(ink, theme);
    let dashes = dashes(number(ink), 1).map_or_else(String::new, |d| format!(" stroke-dasharray=\"{d}\""));
    format!(
        "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2.5\"{dashes}/>",
        x + 28
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_become_the_colours_of_the_page_and_other_text_stays() {
        let svg = "<a stroke=\"#010001\"/><b fill=\"#020000\"/><text>\"#0x\" &quot;#010001&quot;</text><c fill=\"#0FFFFF\"/>";
        assert_eq!(
            coloured(svg, Theme::Page, 2),
            "<a stroke=\"var(--s1)\" stroke-dasharray=\"16 6\" data-line=\"0\"/><b fill=\"var(--text)\"/>\
             <text>\"#0x\" &quot;#010001&quot;</text><c fill=\"#0FFFFF\"/>"
        );
        assert!(coloured(svg, Theme::Alone, 1).contains("stroke=\"#009e73\""));
    }

    #[test]
    fn every_ink_has_a_colour_in_both_themes() {
        let series = (0..SERIES.len() as u8).map(Ink::Series);
        for ink in series.chain([Ink::Target, Ink::Bad, Ink::Doubt, Ink::Extreme]) {
            let RGBColor(r, g, b) = Role::Line(3, ink).stand_in();
            for theme in [Theme::Page, Theme::Alone] {
                assert!(
                    replacement(&format!("\"#{r:02X}{g:02X}{b:02X}\""), theme, 1).is_some(),
                    "{ink:?}"
                );
            }
        }
    }
}
