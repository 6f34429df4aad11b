//! What a section yields and a renderer takes: paragraphs, tables, charts and notes, free of any format.
//!
//! Texts are raw: they may hold anything that a hostile service wrote. Escaping is the renderer's duty.

use std::fmt::Write as _;

use squall_model::record::Verdict;

use crate::chart::{Chart, Forest};

/// One piece of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// The verdict with what it means and the reasons for it.
    Verdict {
        /// How it ended, in one word.
        word: &'static str,
        /// How good or bad that is.
        tone: Tone,
        /// What that means, in a sentence.
        meaning: String,
        /// Why, the gravest first.
        reasons: Vec<String>,
    },
    /// The sentence that a reader should take away.
    Lead(String),
    /// Running text.
    Paragraph(String),
    /// Something the reader must know before trusting a number.
    Note {
        /// How grave.
        tone: Tone,
        /// What.
        text: String,
    },
    /// Names and what they are.
    Definitions(Vec<(String, Cell)>),
    /// A few large figures.
    Figures(Vec<Figure>),
    /// Rows and columns.
    Table(Table),
    /// A drawing.
    Chart(Box<Chart>),
    /// Estimates with their intervals.
    Forest(Box<Forest>),
    /// Drawings one above the other, on one axis of time.
    Stack(Vec<Chart>),
    /// What matters most, and what stands beside it where there is room.
    Beside {
        /// The wider part.
        main: Vec<Block>,
        /// The narrower one.
        side: Vec<Block>,
    },
    /// Text to be shown as it is.
    Code {
        /// What it is, for readers that can't see.
        label: String,
        /// The text.
        text: String,
    },
}

/// One large figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: String,
    /// What to compare it with.
    pub beside: String,
}

/// How good or bad a thing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Neither.
    #[default]
    Plain,
    /// As wanted.
    Good,
    /// To be known.
    Doubt,
    /// Not as wanted.
    Bad,
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Tone {
        match verdict {
            Verdict::Pass => Tone::Good,
            Verdict::Invalid => Tone::Doubt,
            Verdict::Fail => Tone::Bad,
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// How good or bad it is.
    pub tone: Tone,
    /// What it leads to.
    pub link: Option<Link>,
}

/// What a cell leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Where: in the page, or a file seen from where the page lies; empty where there is nothing to open.
    address: String,
    /// What names the run in a command line, quoted for a shell; empty for what is no run.
    pub argument: String,
}

impl Link {
    /// To a place in the page, by its id.
    pub fn inside(id: &str) -> Link {
        Link {
            address: format!("#{id}"),
            argument: String::new(),
        }
    }

    /// To a file by its path as seen from the page. Whatever the path holds, it stays one: never a scheme, a host or a query.
    pub fn file(path: &[u8]) -> Link {
        let mut address = String::new();
        for &byte in path {
            if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
                address.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(address, "%{byte:02X}");
            }
        }
        Link {
            address: format!("./{}", address.trim_start_matches('/')),
            argument: String::new(),
        }
    }

    /// To nothing that could be opened.
    pub fn nowhere() -> Link {
        Link::default()
    }

    /// The link as one to the run that a command line names so.
    #[must_use]
    pub fn naming(self, argument: &str) -> Link {
        Link {
            argument: argument.to_owned(),
            ..self
        }
    }

    /// The address, escaped as addresses are and not yet as HTML.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Cell {
    /// A cell without judgement.
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            ..Cell::default()
        }
    }

    /// A verdict, in its tone.
    pub fn verdict(verdict: Verdict) -> Cell {
        Cell {
            text: verdict.as_str().to_owned(),
            tone: verdict.into(),
            link: None,
        }
    }

    /// The cell in another tone.
    #[must_use]
    pub fn toned(self, tone: Tone) -> Cell {
        Cell { tone, ..self }
    }

    /// The cell as a link.
    #[must_use]
    pub fn linked(self, link: Link) -> Cell {
        Cell {
            link: Some(link),
            ..self
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::plain(text)
    }
}

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers, so that digits stand under digits.
    Right,
    /// Words that may run over several lines.
    Wide,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub head: String,
    /// How it is set.
    pub align: Align,
    /// Where space is short the columns with the highest number go first; 0 stays always.
    pub rank: u8,
}

impl Column {
    /// A column of words.
    pub fn left(head: &str, rank: u8) -> Column {
        Column {
            head: head.to_owned(),
            align: Align::Left,
            rank,
        }
    }

    /// A column of numbers.
    pub fn right(head: &str, rank: u8) -> Column {
        Column {
            head: head.to_owned(),
            align: Align::Right,
            rank,
        }
    }

    /// A column of running text.
    pub fn wide(head: &str, rank: u8) -> Column {
        Column {
            head: head.to_owned(),
            align: Align::Wide,
            rank,
        }
    }
}

/// Rows that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What they have in common; empty where the table has one group only.
    pub title: String,
    /// More about it, smaller.
    pub about: String,
    /// How good or bad it is.
    pub tone: Tone,
    /// The rows, each as long as the table's columns.
    pub rows: Vec<Vec<Cell>>,
}

/// Rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows, for readers that can't see.
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub groups: Vec<Group>,
}

impl Table {
    /// A table of one group.
    pub fn of(caption: &str, columns: Vec<Column>, rows: Vec<Vec<Cell>>) -> Table {
        let group = Group {
            rows,
            ..Group::default()
        };
        Table {
            caption: caption.to_owned(),
            columns,
            groups: vec![group],
        }
    }

    /// The table without the columns that hold nothing in any row.
    #[must_use]
    pub fn without_empty_columns(&self) -> Table {
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        let keep: Vec<bool> = (0..self.columns.len())
            .map(|at| {
                rows().next().is_none()
                    || rows().any(|row| row.get(at).is_some_and(|cell| !cell.text.is_empty()))
            })
            .collect();
        let mut table = self.clone();
        let mut kept = keep.iter();
        table.columns.retain(|_| kept.next() == Some(&true));
        for row in table.groups.iter_mut().flat_map(|group| &mut group.rows) {
            let mut kept = keep.iter();
            row.retain(|_| kept.next() == Some(&true));
        }
        table
    }
}
